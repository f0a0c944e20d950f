"""The network as an ONNX graph, written and read. Layers are as torch has them: weights, then biases.

ONNX has other orders of gates than torch and nbrnn: z r h for r z n, and i o f c for i f g o.
https://onnx.ai/onnx/operators/onnx__GRU.html, version 14, and its like for RNN and LSTM.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nbrnn.errors import CheckError, ConfigError, install_command
from nbrnn.storage.safe_files import write_bytes
from nbrnn.typing import Array

OPSET, IR_VERSION = 14, 8  # old enough for runtimes of the last years
GATES = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 3, 1, 2)}  # which gate of torch's stands where
ACTIVATIONS = {"RNN": ["tanh"], "GRU": ["sigmoid", "tanh"], "LSTM": ["sigmoid", "tanh", "tanh"]}
STATES = {"RNN": "h", "GRU": "h", "LSTM": "hc"}
# What a graph may have besides: nothing of it changes a number, but for the softmax of the logits.
OTHERS = {
    *("OneHot", "Gather", "MatMul", "Gemm", "Add", "Softmax", "LogSoftmax", "Identity", "Constant"),
    *("Squeeze", "Unsqueeze", "Transpose", "Reshape", "Cast", "Shape", "Concat", "Slice", "Split"),
    *("Expand", "ConstantOfShape", "Dropout"),
}


class TorchLayer(NamedTuple):
    """A recurrent layer's arrays, gates stacked in torch's order."""

    weight_ih: Array  # (gates m, inputs)
    weight_hh: Array  # (gates m, m)
    bias_ih: Array  # (gates m,)
    bias_hh: Array  # (gates m,)


def imported_onnx(purpose: str) -> Any:
    """Return the package onnx. Raises ConfigError without it."""
    try:
        import onnx
    except ImportError:
        raise ConfigError(f"{purpose}: ONNX needs the extra onnx: {install_command('onnx')}") from None
    return onnx


# ---------------------------------------------------------------- writing


def write_onnx(
    path: Path,
    kind: str,
    layers: Sequence[TorchLayer],
    V: Array,
    c: Array,
    metadata: Mapping[str, str],
) -> None:
    """Write the graph of `network_graph` in float32: runtimes have its operators in no other precision.

    Raises ConfigError without the package onnx, WriteError.
    """
    onnx = imported_onnx(str(path))
    model = network_graph(kind, layers, V, c, np.dtype(np.float32))
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    write_bytes(path, model.SerializeToString())


def network_graph(
    kind: str, layers: Sequence[TorchLayer], V: Array, c: Array, dtype: np.dtype[Any]
) -> Any:
    """Return a graph with x (T,B) int64 and h0 (L,B,m) in, logits (T,B,K) and h (L,B,m) out.

    `kind` is RNN, GRU or LSTM; an LSTM also has c0 (L,B,m) in and c out. T and B are free.
    """
    onnx = imported_onnx("a graph")
    make, helper, L, (K, m) = onnx.helper.make_node, onnx.helper, len(layers), V.shape
    real = helper.np_dtype_to_tensor_dtype(dtype)
    constants = {
        "K": np.array(K, np.int64),
        "off_on": np.array([0, 1], dtype),
        "directions": np.array([1], np.int64),
        "VT": np.ascontiguousarray(V.T, dtype),
        "c_out": np.asarray(c, dtype),
    }
    nodes = [make("OneHot", ["x", "K", "off_on"], ["x_0"])]
    before, after = ({s: [s + end] for s in STATES[kind]} for end in ("0", ""))
    if L > 1:
        before, after = ({s: [f"{s}{end}_{n}" for n in range(L)] for s in before} for end in ("0", ""))
        nodes += [make("Split", [f"{s}0"], names, axis=0) for s, names in before.items()]
    for n, layer in enumerate(layers):
        own = {f"{name}_{n}": array for name, array in onnx_arrays(kind, layer).items()}
        constants |= {name: np.ascontiguousarray(array, dtype) for name, array in own.items()}
        # the empty name: all sequences are as long as x
        inputs = [f"x_{n}", *own, "", *(names[n] for names in before.values())]
        outputs = [f"states_{n}", *(names[n] for names in after.values())]
        options = {"linear_before_reset": 1} if kind == "GRU" else {}
        nodes += [
            make(kind, inputs, outputs, hidden_size=m, **options),
            make("Squeeze", [f"states_{n}", "directions"], [f"x_{n + 1}"]),
        ]
    if L > 1:
        nodes += [make("Concat", names, [s], axis=0) for s, names in after.items()]
    nodes += [make("MatMul", [f"x_{L}", "VT"], ["Vh"]), make("Add", ["Vh", "c_out"], ["logits"])]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "nbrnn",
        inputs=[
            value("x", onnx.TensorProto.INT64, ["T", "B"]),
            *(value(f"{s}0", real, [L, "B", m]) for s in before),
        ],
        outputs=[
            value("logits", real, ["T", "B", K]),
            *(value(s, real, [L, "B", m]) for s in after),
        ],
        initializer=[onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    opset = [helper.make_opsetid("", OPSET)]
    return helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="nbrnn")


def onnx_arrays(kind: str, layer: TorchLayer) -> dict[str, Array]:
    """Return W, R and B as the operator has them: an axis of directions first, both biases in one."""
    order = np.array(GATES[kind])
    U, W, b, b_hh = (reordered(array, order) for array in layer)
    return {"U": U[np.newaxis], "W": W[np.newaxis], "b": np.concatenate([b, b_hh])[np.newaxis]}


def reordered(array: Array, order: Array) -> Array:
    """Return an array whose rows are stacked gates with these in another order."""
    return array.reshape(len(order), -1, *array.shape[1:])[order].reshape(array.shape)


# ---------------------------------------------------------------- reading


def read_onnx(data: bytes) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays of a graph under the names of torch's modules, and its metadata.

    Raises CheckError for a graph with anything that no cell of nbrnn computes, ConfigError without the
    package onnx, anything for damaged data.
    """
    onnx = imported_onnx("a file in .onnx")
    model = onnx.load_model_from_string(data)
    graph, arrays = model.graph, dict[str, Array]()
    constants = constants_of(onnx, graph)
    recurrent = [node for node in graph.node if node.op_type in GATES]
    for node in graph.node:
        if node.op_type not in GATES and node.op_type not in OTHERS:
            raise CheckError(f"the graph has the operator {node.op_type}, which is not read")
    for n, node in enumerate(recurrent):
        layer = layer_of(onnx, node, constants)
        arrays |= {f"rnn.{name}_l{n}": array for name, array in layer._asdict().items()}
    V, c = readout_of(onnx, graph, constants)
    arrays["linear.weight"] = V
    if c is not None:
        arrays["linear.bias"] = c
    tables = [constants[node.input[0]] for node in graph.node if is_lookup(node, constants)]
    arrays |= {f"embedding_{n}.weight": table for n, table in enumerate(tables)}
    return arrays, {entry.key: entry.value for entry in model.metadata_props}


def constants_of(onnx: Any, graph: Any) -> dict[str, Array]:
    """Return the constants of a graph by name; none that lies in another file is looked at."""
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            tensors[node.output[0]] = node.attribute[0].t
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in tensors.values()):
        raise CheckError("its weights are in another file: save them in one")
    constants = {name: onnx.numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in constants:
            constants[node.output[0]] = constants[node.input[0]]
    return constants


def layer_of(onnx: Any, node: Any, constants: Mapping[str, Array]) -> TorchLayer:
    """Return the arrays of a recurrent node in torch's order of gates. Raises CheckError."""
    kind, order = node.op_type, np.argsort(GATES[node.op_type])
    refuse_other_cells(kind, {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}, node)
    if not all(name in constants for name in node.input[1:4] if name):
        raise CheckError(f"the weights of the {kind} are not constants of the graph")
    U, W = (constants[name][0] for name in node.input[1:3])
    both = constants[node.input[3]][0] if len(node.input) > 3 and node.input[3] else np.zeros(2 * len(W))
    b, b_hh = both.astype(W.dtype).reshape(2, -1)
    return TorchLayer(*(reordered(array, order) for array in (U, W, b, b_hh)))


def refuse_other_cells(kind: str, attributes: Mapping[str, Any], node: Any) -> None:
    """Raise CheckError for what changes the equations of a cell."""
    if attributes.get("direction", b"forward") != b"forward":
        raise CheckError("a bidirectional or backward network cannot predict the next character")
    used = [name.decode().lower() for name in attributes.get("activations", ())]
    if used and used != ACTIVATIONS[kind]:
        raise CheckError(f"the {kind} has the activations {', '.join(used)}: not those of nbrnn's cells")
    if kind == "GRU" and not attributes.get("linear_before_reset"):
        raise CheckError("the GRU resets the state before the product (linear_before_reset is 0)")
    others = [name for name in ("clip", "input_forget") if attributes.get(name)]
    others += ["peepholes"] * (len(node.input) > 7 and bool(node.input[7]))
    if others:
        raise CheckError(f"the {kind} has {' and '.join(others)}, which no cell of nbrnn has")


def readout_of(onnx: Any, graph: Any, constants: Mapping[str, Array]) -> tuple[Array, Array | None]:
    """Return V (K,m) and c (K,) of the one product with a constant matrix. Raises CheckError."""
    products = [
        node for node in graph.node if node.op_type in ("MatMul", "Gemm") and node.input[1] in constants
    ]
    if len(products) != 1:
        raise CheckError(
            f"the graph must have one product with constant weights, for V, and has {len(products)}"
        )
    (node,) = products
    weight = constants[node.input[1]]
    if node.op_type == "Gemm":
        options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        V = weight if options.get("transB") else weight.T
        return V, constants.get(node.input[2]) if len(node.input) > 2 else None
    for other in graph.node:
        if other.op_type == "Add" and node.output[0] in other.input:
            return weight.T, next((constants[name] for name in other.input if name in constants), None)
    return weight.T, None


def is_lookup(node: Any, constants: Mapping[str, Array]) -> bool:
    """Return whether a node looks rows up in a matrix: an embedding."""
    table = constants.get(node.input[0]) if node.op_type == "Gather" else None
    return table is not None and table.ndim == 2 and table.dtype.kind == "f"
