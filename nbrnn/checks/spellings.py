"""Which array is which, by its name, in the spellings that people use?"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from nbrnn.errors import CheckError
from nbrnn.typing import Array


class Role(NamedTuple):
    """What an array is: its kind, and which parameter it belongs to, or what else it is.

    Kinds: "parameter", "input" (x, y, h0), "gradient", "numerical" (a gradient by differences), "after"
    (a parameter after steps), "answer" (loss, P, O, H, h_last), "series" (losses, smooth).
    """

    kind: str
    key: str


PARAMETERS = {
    "W": "w whh waa wh weighthh weighthhl0 h2hweight",
    "U": "u wxh whx wax wx wih weightih weightihl0 i2hweight",
    "V": "v why wyh wya wy who h2oweight fcweight linearweight outweight outputweight decoderweight "
    "headweight weight",
    "b": "b bh ba bias biasih biasihl0",
    "b_hh": "bhh biashh biashhl0",  # PyTorch has two biases, which are added
    "c": "c by bo fcbias linearbias outbias outputbias decoderbias headbias",
}
INPUTS = {
    "x": "x xs xind xidx xindices xonehot xchars xhot xbatch xseq input inputs",
    "y": "y ys yind yidx yindices yonehot ychars yhot ybatch yseq target targets label labels",
    "h0": "h0 hprev h0prev hinit inith hzero hstart a0 state0 hidden0 initialstate initialhidden",
}
ANSWERS = {
    "loss": "loss l cost j crossentropy ce",
    "P": "p ps prob probs probability probabilities yhat softmax pall allp",
    "O": "o os logit logits score scores",
    "H": "h hs state states hidden hiddenstate hiddenstates hall allh",
    "h_last": "hlast hfinal hend ht hn hnext lasth",
}
SERIES = {
    "losses": "losses losshistory lossseries losslist trainloss trainlosses alllosses",
    "smooth": "smooth smoothloss smoothlosses smoothlosshistory smoothed smoothedloss losssmooth",
}

CONTAINERS = frozenset(
    word
    for words in ("rnn net network model my", "params param parameters theta weights", "answers data")
    for word in words.split()
)
GRADIENT = r"(?:gradients?|grads?)"
NUMERICAL = r"(?:num(?:erical|eric)?)"
AFTER = r"(?:after|new|next|updated)(?:steps?)?(?P<{}>\d*)"


def table(spellings: Mapping[str, str]) -> dict[str, str]:
    """Return what each spelling stands for."""
    return {spelling: key for key, all_ in spellings.items() for spelling in all_.split()}


TABLES = {
    "parameter": table(PARAMETERS),
    "input": table(INPUTS),
    "answer": table(ANSWERS),
    "series": table(SERIES),
}


def role_of(name: str) -> Role | None:
    """Return what an array of this name is, None if nobody can tell."""
    words = [word for word in re.split(r"[^0-9A-Za-z]+", name) if word]
    if len(words) > 1:
        words = [word for word in words if word.lower() not in CONTAINERS] or words
    joined = "".join(words).lower()
    for kind, names in TABLES.items():
        if joined in names:
            return Role(kind, names[joined])
    return gradient_role(joined) or after_role(joined)


def gradient_role(joined: str) -> Role | None:
    """Return the role of `grads_W`, `dW`, `W_grad`, `numerical_grad_W` and their like."""
    kind = "gradient"
    shorter = re.sub(
        rf"^{NUMERICAL}|{NUMERICAL}$|(?<=grad){NUMERICAL}|(?<=grads){NUMERICAL}", "", joined
    )
    if shorter != joined:
        kind = "numerical"
    core = re.fullmatch(rf"{GRADIENT}(.+)|(.+?){GRADIENT}|dld(.+)|d(.+)", shorter)
    found = core and next(filter(None, core.groups()))
    if found and found not in TABLES["parameter"] and found.startswith("d"):
        found = found[1:]  # as in grads.dW
    return Role(kind, TABLES["parameter"][found]) if found in TABLES["parameter"] else None


def after_role(joined: str) -> Role | None:
    """Return the role of `W_new`, `after.W`, `W_after10` and their like."""
    for pattern in (rf"{AFTER.format('n')}(?P<core>.+)", rf"(?P<core>.+?){AFTER.format('n')}"):
        match = re.fullmatch(pattern, joined)
        if match and match["core"] in TABLES["parameter"]:
            return Role("after", TABLES["parameter"][match["core"]])
    return None


class Named(NamedTuple):
    """An array under the name that its file has for it."""

    name: str
    array: Array


class Sorted(NamedTuple):
    """The arrays of a program by their roles, and the names that nobody can tell."""

    by_role: dict[Role, list[Named]]
    unknown: list[str]

    def of(self, kind: str) -> dict[str, Named]:
        """Return the arrays of one kind by key."""
        return {role.key: found[0] for role, found in self.by_role.items() if role.kind == kind}


def sort(arrays: Mapping[str, Array]) -> Sorted:
    """Return arrays by their roles.

    Inputs may be there twice, as indices and one-hot. Raises CheckError where anything else is.
    """
    by_role: dict[Role, list[Named]] = {}
    unknown = []
    for name, array in arrays.items():
        role = role_of(name)
        if role is None:
            unknown.append(name)
            continue
        if role == Role("answer", "loss") and array.size > 1:
            role = Role("series", "losses")
        by_role.setdefault(role, []).append(Named(name, array))
    for role, found in by_role.items():
        twice = len(found) > 1 and role.kind != "input"
        if twice and not all(np_equal(found[0].array, other.array) for other in found[1:]):
            names = " and ".join(each.name for each in found)
            raise CheckError(f"{names} are both taken for {spoken(role)}, and differ: leave one out")
    two_biases(by_role)
    return Sorted(by_role, unknown)


def two_biases(by_role: dict[Role, list[Named]]) -> None:
    """Add PyTorch's second bias to the first; the gradients of both are the same."""
    for kind in ("parameter", "after"):
        first, second = by_role.get(Role(kind, "b")), by_role.pop(Role(kind, "b_hh"), None)
        if second and first:
            by_role[Role(kind, "b")] = [Named(first[0].name, first[0].array + second[0].array)]
        elif second:
            by_role[Role(kind, "b")] = second
    second = by_role.pop(Role("gradient", "b_hh"), None)
    if second:
        by_role.setdefault(Role("gradient", "b"), second)


def np_equal(a: Array, b: Array) -> bool:
    """Whether two arrays hold the same numbers, whatever their shape."""
    return a.size == b.size and bool((a.ravel() == b.ravel()).all())


def spoken(role: Role) -> str:
    """Return in words what a role is."""
    if role.kind in ("gradient", "numerical"):
        return f"the gradient of {role.key}"
    return f"{role.key} after the step" if role.kind == "after" else role.key
