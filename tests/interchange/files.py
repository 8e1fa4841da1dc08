"""Small ONNX networks, and VNN-LIB properties of them, as files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

OPSET = 15


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    shape: Sequence[int | str],
    opset: int = OPSET,
) -> Path:
    """Writes a network from `x`, of a shape with batch, to `y`."""
    tensors = [numpy_helper.from_array(np.asarray(w), name) for name, w in weights.items()]
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)
    y = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "network", [x], [y], tensors)
    versions = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=versions, ir_version=8), path)
    return path


def node(op: str, inputs: str, output: str, **settings) -> onnx.NodeProto:
    """A node named as its output; inputs: names, a space between them."""
    return helper.make_node(op, inputs.split(), [output], name=f"the_{output}", **settings)


def normal(*shape: int, seed: int = 0, size: float = 1.0) -> np.ndarray:
    return (size * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def dense_relu(path: Path, matrices: Sequence, biases: Sequence) -> Path:
    """y = W_k relu(... relu(W_1 x + b_1)) + b_k; matrices: [outputs, inputs]."""
    nodes, weights, before = [], {}, "x"
    for i, (matrix, bias) in enumerate(zip(matrices, biases, strict=True)):
        last = i == len(matrices) - 1
        weights |= {f"w{i}": np.float32(matrix), f"b{i}": np.float32(bias)}
        nodes.append(node("Gemm", f"{before} w{i} b{i}", "y" if last else f"z{i}", transB=1))
        if not last:
            nodes.append(node("Relu", f"z{i}", f"h{i}"))
        before = f"h{i}"
    return save(path, nodes, weights, (1, np.shape(matrices[0])[1]))


def vnnlib(
    path: Path, lower: Sequence[object], upper: Sequence[object], outputs: int, condition: str
) -> Path:
    """Writes a property in VNN-LIB 1.0: a box of inputs and what breaks it."""
    names = [f"X_{i}" for i in range(len(lower))] + [f"Y_{i}" for i in range(outputs)]
    lines = [f"(declare-const {name} Real)" for name in names]
    for i, (low, high) in enumerate(zip(lower, upper, strict=True)):
        lines += [f"(assert (<= X_{i} {high}))", f"(assert (>= X_{i} {low}))"]
    path.write_text("\n".join(["; a property", *lines, condition, ""]))
    return path


def robustness(label: int, outputs: int) -> str:
    """The constraint that breaks a classification: another output is as large as the label's."""
    cases = [f"(and (>= Y_{j} Y_{label}))" for j in range(outputs) if j != label]
    return f"(assert (or {' '.join(cases)}))"
