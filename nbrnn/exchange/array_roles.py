"""The names that people give to the arrays of such a network: one table for import and check."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np

from nbrnn.errors import CheckError
from nbrnn.exchange.layer_names import RECURRENT, Named, without_numbers
from nbrnn.typing import Array

Orientation = Literal["column", "row"]  # h_t = W h_{t-1} + U x_t + b, or the transpose of it all


class Role(NamedTuple):
    """What an array is: its kind, and which parameter it belongs to, or what else it is.

    Kinds: "parameter", "input" (x, y, h0), "gradient", "numerical" (a gradient by differences), "after"
    (a parameter after steps), "answer" (loss, P, O, H, h_last), "series" (losses, smooth).
    """

    kind: str
    key: str


# Spellings in lower case, without punctuation, the exact names first: of min-char-rnn (Whh), Ng's course
# (Waa), cs231n (Wh, Wx, W_vocab), d2l (W_hq), torch's modules and its tutorials (h2h, i2h, h2o).
PARAMETERS = {
    "W": "w whh waa wh weighthh weighthhl0 h2hweight",
    "U": "u wxh whx wax wx wih weightih weightihl0 i2hweight",
    "V": "v why wyh wya wy who whq wvocab h2oweight fcweight linearweight outweight outputweight "
    "decoderweight headweight weight",
    "b": "b bh ba bias biasih biasihl0 i2hbias",
    "b_hh": "bhh biashh biashhl0 h2hbias",  # torch has two biases, which are added
    "c": "c by bo bq bvocab h2obias fcbias linearbias outbias outputbias decoderbias headbias",
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
    "dO": "do dos dlogits dlogit dscores dy dys",
    "dH": "dh dhs dhidden dstates dstate",
    "dA": "da das dz dpre dpreact dhraw",
}
SERIES = {
    "updates": "update updates iteration iterations iter iters",
    "losses": "losses losshistory lossseries losslist trainloss trainlosses alllosses",
    "smooth": "smooth smoothloss smoothlosses smoothlosshistory smoothed smoothedloss losssmooth",
}
CONTAINERS = {
    *("rnn", "net", "network", "model", "my", "params", "param", "parameters", "theta", "weights"),
    *("answers", "data"),
}
GRADIENT = r"(?:gradients?|grads?)"
NUMERICAL = r"(?:num(?:erical|eric)?)"
AFTER = r"(?:after|new|next|updated)(?:steps?)?\d*"

# The last part of the names in a module that has a matrix of states by states, and in the readout.
RECURRENT_MATRIX = r"weight_hh(_.*)?|recurrent_kernel"
READOUT = {"weight": "V", "kernel": "V", "bias": "c"}

MATRICES = ("W", "U", "V")
# The matrix of an embedding that stands before the recurrent layer, in torch and in Keras.
EMBEDDING = re.compile(r"(?:^|[./])(?:\w*emb\w*|wte)[./](?:weight|embeddings)(?::\d+)?$", re.IGNORECASE)

Table = Mapping[str, str]  # what each spelling stands for


def table(spellings: Mapping[str, str]) -> Table:
    """Return what each spelling stands for."""
    return {spelling: key for key, all_ in spellings.items() for spelling in all_.split()}


TABLES = {
    "parameter": table(PARAMETERS),
    "input": table(INPUTS),
    "answer": table(ANSWERS),
    "series": table(SERIES),
}


# ---------------------------------------------------------------- one name


def spellings(name: str) -> list[str]:
    """Return a name in lower case without punctuation, and the same without words like `model`."""
    words = re.findall(r"[0-9a-z]+", re.sub(r":\d+\b", "", name.lower()))  # TensorFlow ends names in :0
    return ["".join(words), "".join(word for word in words if word not in CONTAINERS)]


def role_of(name: str, parameters: Table = TABLES["parameter"]) -> Role | None:
    """Return what an array of this name is, None if it is unknown."""
    for spelling in spellings(name):
        for kind, names in {**TABLES, "parameter": parameters}.items():
            if spelling in names:
                return Role(kind, names[spelling])
        role = gradient_role(spelling, parameters) or after_role(spelling, parameters)
        if role:
            return role
    return None


def gradient_role(spelling: str, parameters: Table) -> Role | None:
    """Return the role of `grads_W`, `dW`, `W_grad`, `numerical_grad_W` and their like."""
    shorter = re.sub(
        rf"^{NUMERICAL}|{NUMERICAL}$|(?<=grad){NUMERICAL}|(?<=grads){NUMERICAL}", "", spelling
    )
    kind = "gradient" if shorter == spelling else "numerical"
    core = re.fullmatch(rf"{GRADIENT}(.+)|(.+?){GRADIENT}|dld(.+)|d(.+)", shorter)
    found = next(filter(None, core.groups())) if core else ""
    if found not in parameters:
        found = found.removeprefix("d")  # as in grads.dW
    return Role(kind, parameters[found]) if found in parameters else None


def after_role(spelling: str, parameters: Table) -> Role | None:
    """Return the role of `W_new`, `after.W`, `W_after10` and their like."""
    for pattern in (rf"{AFTER}(.+)", rf"(.+?){AFTER}"):
        match = re.fullmatch(pattern, spelling)
        if match and match[1] in parameters:
            return Role("after", parameters[match[1]])
    return None


# ---------------------------------------------------------------- all names of a file


@dataclass
class SortedArrays:
    """The arrays of a program by their roles, and the unknown names.

    `layout` is that of torch (column) or Keras (row), where the names are theirs. `numbered` are the
    parameters of the layers above the first, and d of the first: by layer, counted from 0, and key.
    """

    by_role: dict[Role, list[Named]] = field(default_factory=lambda: defaultdict(list))
    unknown: list[str] = field(default_factory=list)
    layout: Orientation | None = None
    numbered: dict[int, dict[str, Named]] = field(default_factory=dict)

    def of(self, kind: str) -> dict[str, Named]:
        """Return the arrays of one kind by key. Raises CheckError where two differ.

        Inputs may be there twice, as indices and one-hot.
        """
        found = {role.key: named for role, named in self.by_role.items() if role.kind == kind}
        for key, (first, *others) in found.items():
            if kind != "input" and not all(same_numbers(first.array, other.array) for other in others):
                names = " and ".join(each.name for each in found[key])
                raise CheckError(
                    f"{names} are both read as {words(kind, key)}, and differ: leave one of them out"
                )
        arrays = {key: named[0] for key, named in found.items()}
        second = arrays.pop("b_hh", None)
        if second is not None:
            one = arrays.setdefault("b", second)
            if one is not second and kind in (
                "parameter",
                "after",
            ):  # the gradients of both are the same
                if one.array.shape != second.array.shape:
                    sizes = f"{one.name} {one.array.shape} and {second.name} {second.array.shape}"
                    raise CheckError(f"two biases of different sizes cannot be added: {sizes}")
                arrays["b"] = Named(one.name, one.array + second.array)
        return arrays

    def missing(self) -> list[str]:
        """Return which of the matrices are missing; a bias may be, which is zero then."""
        return [name for name in MATRICES if Role("parameter", name) not in self.by_role]

    def parameters(self) -> dict[str, Named]:
        """Return the parameters by key. Raises CheckError if a matrix is missing."""
        if self.missing():
            names = [each.name for named in self.by_role.values() for each in named] + self.unknown
            listed = ", ".join(names)[:200] or "none"
            missing = " or ".join(self.missing())
            raise CheckError(
                f"no array has a known name for {missing}: save each under its own (there are {listed})"
            )
        return self.of("parameter")

    def layers(self) -> list[dict[str, Named]]:
        """Return the parameters of each recurrent layer by key: W, U, b, b_hh, d.

        Raises CheckError if a matrix is missing.
        """
        first = {key: self.by_role.get(Role("parameter", key)) for key in ("W", "U", "b", "b_hh")}
        layers = dict(self.numbered)
        layers[0] = {key: named[0] for key, named in first.items() if named} | layers.get(0, {})
        for number in range(max(layers) + 1):
            lacks = [key for key in ("W", "U") if key not in layers.get(number, {})]
            if lacks:
                raise CheckError(f"layer {number + 1} has no {' and no '.join(lacks)}")
        return [layers[number] for number in sorted(layers)]


def sort_arrays(arrays: Mapping[str, Array]) -> SortedArrays:
    """Return arrays by their roles; texts have none. Raises CheckError for several networks."""
    arrays, numbered = without_numbers(arrays)
    numbers = {name: array for name, array in arrays.items() if array.dtype.kind not in "US"}
    embeddings = [name for name in numbers if EMBEDDING.search(name)]
    if len(embeddings) == 1:
        numbers = without_embedding(numbers, embeddings[0])
        embeddings = [name for name in embeddings if name not in numbers]
    of_modules, layout = names_by_module(numbers)
    parameters = {**TABLES["parameter"], **of_modules}
    texts = [name for name in arrays if name not in numbers]
    found = SortedArrays(unknown=texts, layout=layout, numbered=numbered)
    for name, array in numbers.items():
        role = role_of(name, parameters)
        if role is None:
            found.unknown.append(name)
            continue
        if role == Role("answer", "loss") and array.size > 1:
            role = Role("series", "losses")
        if embeddings and role.key == "U" and role.kind != "parameter":  # of W_ih, which U holds no more
            found.unknown.append(name)
            continue
        found.by_role[role].append(Named(name, array))
    return found


def without_embedding(arrays: Mapping[str, Array], name: str) -> dict[str, Array]:
    """Return arrays in which an embedding (K, e) is folded into U = W_ih E^T, as (m, K) or in rows."""
    E, rest = arrays[name], {key: array for key, array in arrays.items() if key != name}
    folded = dict(rest)
    for key, array in rest.items():
        part = re.split(r"[./]", key)[-1].partition(":")[0]
        if array.ndim == E.ndim == 2 and re.fullmatch(r"weight_ih(_l0)?|kernel", part):
            if part != "kernel" and array.shape[1] == E.shape[1]:
                folded[key] = np.asarray(array.astype(float) @ E.T.astype(float), array.dtype)
            elif part == "kernel" and "dense" not in key and array.shape[0] == E.shape[1]:
                folded[key] = np.asarray(E.astype(float) @ array.astype(float), array.dtype)
    return dict(arrays) if all(folded[key] is array for key, array in rest.items()) else folded


def names_by_module(arrays: Mapping[str, Array]) -> tuple[Table, Orientation | None]:
    """Return spellings that are parameters by the names beside them, and the layout if it follows.

    The module with a matrix of states by states is the recurrent one, the only other one with a matrix
    the readout; without modules a group like best.W, best.U, best.V. Raises CheckError for several.
    """
    modules: dict[str, dict[str, str]] = defaultdict(dict)
    for name in arrays:
        role = role_of(name)
        if role is None or role.kind == "parameter":
            module, part = re.fullmatch(r"(?:(.*)[./])?(.*?)(?::\d+)?", name, re.DOTALL).groups("")  # type: ignore[union-attr]
            modules[module][part] = name
    recurrent = [
        (module, part)
        for module, parts in modules.items()
        for part in parts
        if re.fullmatch(RECURRENT_MATRIX, part)
    ]
    if not recurrent:
        return names_by_group(modules), None
    ((module, part), *others) = recurrent
    if others:
        names = ", ".join(modules[module][part] for module, part in recurrent)
        raise CheckError(f"there are several recurrent layers, or directions: {names}")
    found = dict(of_module(modules.pop(module), RECURRENT))
    readouts = {
        parts[matrix]: parts
        for parts in modules.values()
        for matrix in ("weight", "kernel")
        if matrix in parts and np.ndim(arrays[parts[matrix]]) == 2
    }
    if len(readouts) > 1:
        which = "may each be the output layer, V: keep only that one in the file"
        raise CheckError(f"{' and '.join(readouts)} {which}")
    for parts in readouts.values():
        found |= of_module(parts, READOUT)
    return found, "row" if part == "recurrent_kernel" else "column"


def of_module(parts: Mapping[str, str], keys: Table) -> Iterator[tuple[str, str]]:
    """Yield the spellings of a module's arrays with what they stand for."""
    for part, name in parts.items():
        key = keys.get(part.removesuffix("_l0"))
        if key:
            yield spellings(name)[0], key


def names_by_group(groups: Mapping[str, Mapping[str, str]]) -> Table:
    """Return the spellings in the only group that has W, U and V; none if the names alone do.

    Raises CheckError if there are several groups.
    """
    whole = {}
    for group, parts in groups.items():
        roles = {name: role_of(part) for part, name in parts.items()}
        keys = {name: role.key for name, role in roles.items() if role and role.kind == "parameter"}
        if set(MATRICES) <= set(keys.values()):
            if all(role_of(name) for name in keys):
                return {}
            whole[group] = {spellings(name)[0]: key for name, key in keys.items()}
    if len(whole) > 1:
        raise CheckError(f"there are several networks ({', '.join(whole)}): save only one of them")
    return next(iter(whole.values()), {})


def same_numbers(a: Array, b: Array) -> bool:
    """Return whether two arrays hold the same numbers, whatever their shape."""
    return a.size == b.size and bool((a.ravel() == b.ravel()).all())


def words(kind: str, key: str) -> str:
    """Return a role in words."""
    if kind in ("gradient", "numerical"):
        return f"the gradient of {key}"
    return f"{key} after the step" if kind == "after" else key
