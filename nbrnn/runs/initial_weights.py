"""The weights of an earlier run as the initialization of another one, on another text."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from nbrnn.config import RunConfig, option_name
from nbrnn.errors import ConfigError
from nbrnn.storage.checkpoint import Checkpoint
from nbrnn.typing import Array

# The axis of the characters; arrays that are not named here do not depend on the alphabet.
CHARACTER_AXIS = {"U": 1, "U.1": 1, "V": 0, "c": 0}
NETWORK = ("cell", "layers", "hidden")  # the settings that the shapes of weights depend on


def weights_sha256(model: Checkpoint) -> str:
    """Return the sha256 of a model's alphabet and weights, which a run's id has part in."""
    sha256 = hashlib.sha256(model.alphabet.encode())
    for name, array in sorted(model.theta.items()):
        sha256.update(f"\n{name} {array.dtype.name} {array.shape}\n".encode())
        sha256.update(array.tobytes())
    return sha256.hexdigest()


def check_weights(model: Checkpoint | None, config: RunConfig) -> None:
    """Raise ConfigError unless a model is the one that a config starts from."""
    if config.init_from is None and model is None:
        return
    if model is None or config.init_from != weights_sha256(model):
        raise ConfigError(
            "this run starts from the weights of another one, which are not given: give its first "
            "command again, with --init-from and without --resume"
        )
    for name in NETWORK:
        ours, theirs = getattr(config, name), getattr(model.config, name)
        if ours != theirs:
            raise ConfigError(
                f"{option_name(name)} {ours} does not fit the network of --init-from ({theirs}): "
                f"leave {option_name(name)} out"
            )


def with_weights(initial: Mapping[str, Array], alphabet: str, model: Checkpoint) -> dict[str, Array]:
    """Return initial weights with those of a model instead, where both have the character.

    Both are shaped as in the equations. What belongs to a character that the model does not know stays.
    """
    shared = [c for c in alphabet if c in model.alphabet]
    here, there = ([alphabet.index(c) for c in shared] for alphabet in (alphabet, model.alphabet))
    result = {}
    for name, array in initial.items():
        result[name] = array.copy()
        if name not in CHARACTER_AXIS:
            result[name][...] = model.theta[name]
        elif CHARACTER_AXIS[name] == 1:
            result[name][:, here] = model.theta[name][:, there]
        else:
            result[name][here] = model.theta[name][there]
    return result
