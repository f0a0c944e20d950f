"""The network as an ONNX graph."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nbrnn.errors import ConfigError, install_command
from nbrnn.storage.atomic_files import write_bytes
from nbrnn.typing import Array

# Old enough for runtimes of the last years: https://onnx.ai/onnx/operators/onnx__RNN.html, version 14.
OPSET, IR_VERSION = 14, 8


def write_onnx(path: Path, theta: Mapping[str, Array], metadata: Mapping[str, str]) -> None:
    """Write a graph with x (T,B) int64 and h0 (1,B,m) in, logits (T,B,K) and h (1,B,m) out.

    T and B are free. It computes in float32, since runtimes have the operator RNN in no other precision.
    Raises ConfigError without the package onnx, WriteError.
    """
    try:
        import onnx
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        raise ConfigError(f"{path}: ONNX needs the extra onnx: {install_command('onnx')}") from None
    weights = initializers(theta)
    K, m = theta["V"].shape
    nodes = [
        helper.make_node("OneHot", ["x", "K", "off_on"], ["one_hot"]),
        # the empty name: all sequences are as long as x
        helper.make_node("RNN", ["one_hot", "U", "W", "b", "", "h0"], ["states", "h"], hidden_size=m),
        helper.make_node("Squeeze", ["states", "directions"], ["h_t"]),
        helper.make_node("MatMul", ["h_t", "VT"], ["Vh"]),
        helper.make_node("Add", ["Vh", "c"], ["logits"]),
    ]
    real = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "nbrnn",
        inputs=[
            helper.make_tensor_value_info("x", TensorProto.INT64, ["T", "B"]),
            helper.make_tensor_value_info("h0", real, [1, "B", m]),
        ],
        outputs=[
            helper.make_tensor_value_info("logits", real, ["T", "B", K]),
            helper.make_tensor_value_info("h", real, [1, "B", m]),
        ],
        initializer=[numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    opset = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(graph, opset_imports=opset, ir_version=IR_VERSION, producer_name="nbrnn")
    helper.set_model_props(model, dict(metadata))
    onnx.checker.check_model(model)
    write_bytes(path, model.SerializeToString())


def initializers(theta: Mapping[str, Array]) -> dict[str, Array]:
    """Return the graph's constants: the operator RNN has an axis of directions, and two biases."""
    W, U, V, b, c = (np.ascontiguousarray(theta[name], np.float32) for name in "WUVbc")
    return {
        "U": U[np.newaxis],
        "W": W[np.newaxis],
        "b": np.concatenate([b, np.zeros_like(b)])[np.newaxis],
        "VT": np.ascontiguousarray(V.T),
        "c": c,
        "K": np.array(c.size, np.int64),
        "off_on": np.array([0, 1], np.float32),
        "directions": np.array([1], np.int64),
    }
