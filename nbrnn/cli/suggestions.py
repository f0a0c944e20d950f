"""What did a user mean who typed what there is not?"""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from typing import Any

from typer.core import TyperCommand

from nbrnn.config import SETTINGS
from nbrnn.errors import ConfigError

# The known corpora and their encoding, as in nbrnn.corpus, which imports NumPy: a test compares them.
CORPORA = ("shakespeare", "brontes", "federalist")

# What other programs call our options.
SYNONYMS = {
    "--lr": "--eta",
    "--learning-rate": "--eta",
    "--alpha": "--eta",
    "--n-hidden": "--hidden",
    "--num-hidden": "--hidden",
    "--hidden-size": "--hidden",
    "--hidden-dim": "--hidden",
    "--units": "--hidden",
    "--seq-len": "--seq-length",
    "--sequence-length": "--seq-length",
    "--window": "--seq-length",
    "--n-epochs": "--epochs",
    "--num-epochs": "--epochs",
    "--steps": "--updates",
    "--iterations": "--updates",
    "--max-iters": "--updates",
    "--std": "--sigma",
    "--eps": "--epsilon",
    "--grad-clip": "--clip",
    "--clip-grad": "--clip",
    "--precision": "--dtype",
    "--batch-size": "--batch",
    "--random-seed": "--seed",
    "--output": "--out",
    "--outdir": "--out",
    "--output-dir": "--out",
    "--n-jobs": "--jobs",
    "--workers": "--jobs",
    "--temp": "--temperature",
    "--n-chars": "--length",
}


class Command(TyperCommand):
    """A command that takes each option with one value only once."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what was typed. Raises ConfigError where the last of several values would win."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for option in order:
            takes_one = not getattr(option, "is_flag", True) and not option.multiple
            if takes_one and order.count(option) > 1:
                raise ConfigError(f"{option.opts[0]} is given more than once: {only_one(self, option)}")
        return super().parse_args(ctx, args)


def only_one(command: Any, option: Any) -> str:
    """Return how to give an option several values, where that can be."""
    if option.name not in SETTINGS:
        return "leave out all but one"
    if command.name == "sweep":
        return "a list has commas between its values"
    return "lists are for nbrnn sweep"


def explained(error: Any, arguments: Sequence[str]) -> str:
    """Return in one line what is wrong with these arguments, by click's error, and what was meant."""
    context = getattr(error, "ctx", None)
    if context is not None:
        command = context.command
        if hasattr(command, "commands"):
            said = of_the_program(error, arguments, command.commands)
        else:
            said = of_a_command(error, arguments, command)
        if said is not None:
            return said
    path = context.command_path if context else "nbrnn"
    return f"{error.format_message()} (see {path} --help)"


def of_the_program(error: Any, arguments: Sequence[str], commands: dict[str, Any]) -> str | None:
    """Return what is wrong if only the word `train` is missing."""
    first = arguments[0] if arguments else ""
    is_text = first not in commands and (first in CORPORA or os.path.isfile(first))
    if is_text or unknown_option(error) in options_of(commands["train"]):
        return f"the command is missing: nbrnn train {shlex.join(arguments)}"
    return None


def of_a_command(error: Any, arguments: Sequence[str], command: Any) -> str | None:
    """Return what is wrong with an option that others call so, or that was given a list."""
    unknown = unknown_option(error)
    if unknown is not None:
        ours = SYNONYMS.get(unknown.lower().replace("_", "-"))
        return f"no such option: {unknown}; it is {ours} here" if ours in options_of(command) else None
    parameter: Any = getattr(error, "param", None)
    its_setting = SETTINGS.get(getattr(parameter, "name", ""))
    if command.name != "train" or its_setting is None or "," not in value_of(parameter.opts, arguments):
        return None
    kind = "value" if its_setting.choices else "number"
    return f"{parameter.opts[0]}: train takes one {kind}; lists are for nbrnn sweep"


def unknown_option(error: Any) -> str | None:
    """Return the option that a command does not have, if that is the error."""
    return getattr(error, "option_name", None) if hasattr(error, "possibilities") else None


def options_of(command: Any) -> set[str]:
    """Return the names of a command's options."""
    return {name for parameter in command.params for name in parameter.opts}


def value_of(names: Sequence[str], arguments: Sequence[str]) -> str:
    """Return what was typed as the value of an option; nothing if there is none."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else following
    return ""
