"""The command `presets`."""

from __future__ import annotations

from dataclasses import asdict

from nbrnn.cli import options
from nbrnn.cli.console import print_json, print_wrapped
from nbrnn.config import option_name
from nbrnn.presets import PRESETS


def presets(as_json: options.Json = False) -> None:
    """List the presets: well-known experiments, for --preset.

    Each with its settings, its source, and how it differs from that.
    """
    if as_json:
        print_json([{"name": name, **asdict(preset)} for name, preset in PRESETS.items()])
        return
    for name, preset in PRESETS.items():
        options = [f"{option_name(setting)} {value}" for setting, value in preset.settings.items()]
        print(name)
        print_wrapped(f"  {' '.join(options)}")
        print_wrapped(f"  {preset.note}")
        print_wrapped(f"  source: {preset.source}\n")
