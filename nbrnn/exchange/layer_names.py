"""The names of layers: which arrays belong to the first recurrent layer, and which to those above it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from nbrnn.errors import CheckError
from nbrnn.typing import Array

RECURRENT = {
    "weight_hh": "W",
    "weight_ih": "U",
    "bias_ih": "b",
    "bias_hh": "b_hh",  # torch
    "recurrent_kernel": "W",
    "kernel": "U",
    "bias": "b",  # Keras
}
# Layers are counted from 0 by torch, and from 1 in files of nbrnn: W.1, in MATLAB W1.
TORCH_LAYER = re.compile(r"(?:.*[./])?(weight_ih|weight_hh|bias_ih|bias_hh)_l([1-9]\d?)")
OWN_LAYER = re.compile(r"(.*[./])?([WUbd])\.?([1-9]\d?)")
REFUSED = {  # endings of torch's names that no network of ours has
    r"_l\d+_reverse": "a bidirectional network cannot predict the next character",
    r"weight_hr_l\d+": "an LSTM with projections (proj_size) is not read",
}


class Named(NamedTuple):
    """An array under the name that its file has for it."""

    name: str
    array: Array


def without_numbers(
    arrays: Mapping[str, Array],
) -> tuple[dict[str, Array], dict[int, dict[str, Named]]]:
    """Return arrays in which the first layer is called like an only one, and those of other layers.

    The latter by layer, counted from 0, and key. Raises CheckError for networks of other kinds.
    """
    rest, numbered = {}, defaultdict[int, dict[str, Named]](dict)
    own = own_layers(arrays)
    for name, array in arrays.items():
        for ending, reason in REFUSED.items():
            if re.search(f"{ending}$", name):
                raise CheckError(f"{name}: {reason}")
        torch = TORCH_LAYER.fullmatch(name)
        if torch:
            numbered[int(torch[2])][RECURRENT[torch[1]]] = Named(name, array)
        elif name not in own:
            rest[name] = array
        elif own[name][3] == "1" and own[name][2] != "d":
            rest[(own[name][1] or "") + own[name][2]] = array
        else:
            numbered[int(own[name][3]) - 1][own[name][2]] = Named(name, array)
    return rest, dict(numbered)


def own_layers(arrays: Iterable[str]) -> dict[str, re.Match[str]]:
    """Return the names like W.1, if W and U of a first layer are there, each with its parts.

    Raises CheckError if there are several such groups, as of best.W.1 and last.W.1.
    """
    groups: dict[str, dict[str, re.Match[str]]] = defaultdict(dict)
    for name in arrays:
        match = OWN_LAYER.fullmatch(name)
        if match:
            groups[match[1] or ""][name] = match
    whole = {
        group: names
        for group, names in groups.items()
        if {"W1", "U1"} <= {match[2] + match[3] for match in names.values()}
    }
    if len(whole) > 1 and "" not in whole:
        raise CheckError(f"there are several networks ({', '.join(whole)}): save only one of them")
    return whole.get("") or next(iter(whole.values()), {})
