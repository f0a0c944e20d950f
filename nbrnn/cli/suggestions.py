"""One-line errors of usage that suggest what the user meant."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from typer.core import TyperCommand

from nbrnn.config import SETTINGS
from nbrnn.errors import ConfigError
from nbrnn.values import nearest, one_of, shortened

# The known corpora, as in nbrnn.corpus, which imports NumPy: a test compares them.
CORPORA = ("shakespeare", "brontes", "federalist")

# Our options, and what other programs call them.
OTHER_NAMES = {
    "--eta": "lr learning-rate alpha",
    "--cell": "rnn-type model",
    "--layers": "num-layers n-layers",
    "--hidden": "n-hidden num-hidden hidden-size hidden-dim units",
    "--seq-length": "seq-len sequence-length window",
    "--epochs": "n-epochs num-epochs",
    "--updates": "steps iterations max-iters",
    "--sigma": "std",
    "--epsilon": "eps",
    "--clip": "grad-clip clip-grad",
    "--clip-norm": "max-grad-norm",
    "--dtype": "precision",
    "--batch": "batch-size",
    "--seed": "random-seed",
    "--out": "output outdir output-dir",
    "--jobs": "n-jobs workers",
    "--temperature": "temp",
    "--length": "n-chars",
}
SYNONYMS = {f"--{other}": ours for ours, others in OTHER_NAMES.items() for other in others.split()}


class Command(TyperCommand):
    """A command that takes an option with one value only once."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what was typed. Raises ConfigError where the last of several values would win."""
        _, _, order = self.make_parser(ctx).parse_args(args=list(args))
        for option in order:
            takes_one = not getattr(option, "is_flag", True) and not option.multiple
            if takes_one and order.count(option) > 1:
                hint = "leave out all but one"
                if option.name in SETTINGS:
                    is_sweep = self.name == "sweep"
                    hint = "separate values by commas" if is_sweep else "lists are for nbrnn sweep"
                raise ConfigError(f"{' or '.join(option.opts)} is given more than once: {hint}")
        return super().parse_args(ctx, args)

    def get_help(self, ctx: Any) -> str:
        """Return the help, without the types that Typer adds to arguments."""
        for param in self.params:
            if param.param_type_name == "argument":
                setattr(param, "display_type_rich", lambda ctx: None)  # noqa: B010
        return str(super().get_help(ctx))


def explain(error: Any, arguments: Sequence[str]) -> str:
    """Return in one line what is wrong with these arguments, by click's error, and what to do."""
    context = getattr(error, "ctx", None)
    message = None
    if context is not None:
        is_program = hasattr(context.command, "commands")
        explain_it = missing_command if is_program else wrong_option
        message = explain_it(error, arguments, context.command)
    if message is not None:
        return message
    path = context.command_path if context else "nbrnn"
    message = error.format_message().rstrip(".")
    return f"{message[:1].lower()}{message[1:]} (see {path} --help)"


def missing_command(error: Any, arguments: Sequence[str], program: Any) -> str | None:
    """Return what is wrong if only the word `train` is missing."""
    first = arguments[0] if arguments else ""
    is_text = first not in program.commands and (first in CORPORA or os.path.isfile(first))
    if is_text or unknown_option(error) in options_of(program.commands["train"]):
        return f"the command is missing: nbrnn train {shlex.join(arguments)}"
    return None


def wrong_option(error: Any, arguments: Sequence[str], command: Any) -> str | None:
    """Return what is wrong with an option of another program, or with an option's value."""
    unknown = unknown_option(error)
    if unknown is not None:
        ours, options = SYNONYMS.get(unknown.lower().replace("_", "-")), options_of(command)
        hint = nearest(unknown.lstrip("-"), [option.lstrip("-") for option in options])
        hint = f"; it is {ours} here" if ours in options else hint.replace("mean ", "mean --")
        return f"no such option: {unknown}{hint or f' (see nbrnn {command.name} --help)'}"
    option: Any = getattr(error, "param", None)
    value = None if option is None else value_of(option.opts, arguments)
    if value is None:
        return None
    name, kind = option.opts[0], type_of(option, command)
    choices = get_args(kind)
    if command.name == "train" and option.name in SETTINGS and "," in value:
        numbers = {int: "whole number, without commas", float: "number, with a point for decimals"}
        one = numbers.get(kind, "value")
        return f"{name} {shortened(value)} is a list: train takes one {one}; lists are for nbrnn sweep"
    if choices:
        return f"{name} must be {one_of(choices)} (got {shortened(value)}){nearest(value, choices)}"
    number = {int: "a whole number", float: "a number"}.get(kind)
    return f"{name} must be {number} (got {shortened(value)})" if number else None


def type_of(option: Any, command: Any) -> Any:
    """Return the type of an option as the command's function declares it, without None."""
    hint = get_type_hints(command.callback)[option.name]
    return get_args(hint)[0] if isinstance(hint, UnionType) or get_origin(hint) is Union else hint


def unknown_option(error: Any) -> str | None:
    """Return the option that a command does not have, if that is the error."""
    return getattr(error, "option_name", None) if hasattr(error, "possibilities") else None


def options_of(command: Any) -> set[str]:
    """Return the names of a command's options."""
    return {name for parameter in command.params for name in parameter.opts}


def value_of(names: Sequence[str], arguments: Sequence[str]) -> str | None:
    """Return what was typed as the value of an option."""
    for word, following in zip(arguments, [*arguments[1:], None], strict=True):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else following
    return None
