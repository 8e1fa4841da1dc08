"""ONNX operations as Keras layers, against ONNX's evaluator and onnxruntime."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx.reference import ReferenceEvaluator

from rt_tf.interchange import onnx_file
from rt_tf.interchange.nodes.moving import MOVES
from rt_tf.interchange.operations import OPERATIONS
from tests.interchange.files import node, normal, save

VECTOR, IMAGE, TOKENS = (1, 6), (1, 2, 6, 5), (1, 4, 6)


class Case(NamedTuple):
    """Nodes from x to h, with weights; h is flattened to y. large: x is so many times a normal."""

    nodes: Sequence[onnx.NodeProto]
    shape: tuple[int, ...] = VECTOR
    weights: Mapping[str, np.ndarray] = MappingProxyType({})
    opset: int = 18
    large: float = 3.0


def one(op: str, shape: tuple[int, ...] = VECTOR, inputs: str = "x", **settings) -> Case:
    """A case of one node."""
    return Case([node(op, inputs, "h", **settings)], shape)


def bare(op: str, inputs: list[str], **settings) -> onnx.NodeProto:
    """A node to h of which some operands are left out."""
    return onnx.helper.make_node(op, inputs, ["h"], **settings)


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers)


def positive(op: str, **settings) -> Case:
    """A case of a function of x^2 + 1."""
    nodes = [node("Mul", "x x", "s"), node("Add", "s one", "a"), node(op, "a", "h", **settings)]
    return Case(nodes, weights={"one": np.float32(1.0)})


def gelu(*ending: onnx.NodeProto) -> Case:
    """x (1 + erf(x / sqrt(2))), and what follows."""
    nodes = [node("Div", "x root", "d"), node("Erf", "d", "e"), node("Add", "e one", "a")]
    weights = {"root": np.float32(2**0.5), "one": np.float32(1.0), "half": np.float32(0.5)}
    return Case([*nodes, *ending], weights=weights)


def normalisation(op: str, axes: list[int], *gains: int) -> Case:
    """A layer normalisation in nodes, with or without its products with a deviation apart."""
    nodes = [node("ReduceMean", "x axes", "m"), node("Sub", "x m", "d"), node("Mul", "d d", "q")]
    nodes += [node("ReduceMean", "q axes", "v"), node("Add", "v e", "w"), node("Sqrt", "w", "r")]
    weights = {"axes": np.array(axes), "e": np.float32(1e-3), "g": normal(*gains), "b": normal(6)}
    if op == "quotient":
        nodes += [node("Div", "d r", "n"), node("Mul", "n g", "s"), node("Add", "s b", "h")]
    else:
        nodes += [node("Reciprocal", "r", "i"), node("Mul", "i g", "f"), node("Mul", "x f", "p")]
        nodes += [node("Mul", "m f", "o"), node("Sub", "b o", "t"), node("Add", "p t", "h")]
    return Case(nodes, TOKENS, weights)


def resize(mode: str, target: Sequence[float], **settings) -> Case:
    nodes = [node("Resize", "x roi scales", "h", mode=mode, **settings)]
    weights = {"roi": np.float32([]), "scales": np.float32([1, 1, *target])}
    return Case(nodes, IMAGE, weights)


K, T = {"k": normal(4, 2, 3, 3), "b": normal(4, seed=1)}, {"t": normal(2, 3, 3, 2)}
CORNERS = {"coordinate_transformation_mode": "align_corners"}
GAIN = {"g": normal(2), "b": normal(2, seed=1)}
HEADS = {"s": ints(1, 4, 2, 3), "w": normal(6, 6), "r": ints(1, 4, 6)}
ATTENTION = [
    *(node("MatMul", "x w", "p"), node("Reshape", "p s", "q")),
    *(
        node("Transpose", "q", "k", perm=[0, 2, 1, 3]),
        node("Transpose", "q", "l", perm=[0, 2, 3, 1]),
    ),
    *(node("MatMul", "k l", "a"), node("Softmax", "a", "o", axis=-1), node("MatMul", "o k", "v")),
    *(node("Transpose", "v", "u", perm=[0, 2, 1, 3]), node("Reshape", "u r", "h")),
]

CASES = {
    "abs": one("Abs"),
    "add two orders": Case(
        [node("Transpose", "x", "t", perm=[0, 2, 1]), node("Add", "x t", "h")], (1, 4, 4)
    ),
    "add larger": Case([node("Add", "x w", "h")], weights={"w": normal(3, 6)}),
    "attention": Case(ATTENTION, TOKENS, HEADS),
    "attention of onnx": Case(
        [node("Attention", "x x x", "h", q_num_heads=2, kv_num_heads=2)], TOKENS, opset=23
    ),
    "average ceiling": one(
        "AveragePool", IMAGE, kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 0, 1], ceil_mode=1
    ),
    "average counted": one(
        "AveragePool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4, count_include_pad=1
    ),
    "average lower": one("AveragePool", IMAGE, kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
    "average not counted": one("AveragePool", IMAGE, kernel_shape=[3, 3], pads=[1, 2, 0, 1]),
    "average of series": one("AveragePool", (1, 2, 9), kernel_shape=[3], strides=[2], pads=[1, 1]),
    "average of volumes": one("AveragePool", (1, 2, 4, 3, 4), kernel_shape=[2, 2, 2]),
    "batch norm of series": Case(
        [node("BatchNormalization", "x g b b g", "h")],
        (1, 2, 5),
        {"g": 1.0 + np.abs(GAIN["g"]), "b": GAIN["b"]},
    ),
    "cast": one("Cast", to=1),
    "celu": one("Celu", alpha=0.7),
    "class token": Case(
        [node("Concat", "c x d", "h", axis=1)],
        TOKENS,
        {"c": normal(1, 1, 6), "d": normal(1, 2, 6, seed=1)},
    ),
    "clip": Case([node("Clip", "x l m", "h")], weights={"l": np.float32(-1), "m": np.float32(2)}),
    "clip above": Case([bare("Clip", ["x", "", "m"])], weights={"m": np.float32(0.5)}),
    "clip old": one("Clip", min=0.0, max=0.7)._replace(opset=9),
    "concat": Case([node("Relu", "x", "r"), node("Concat", "x r", "h", axis=1)], IMAGE),
    "conv of series": Case(
        [node("Conv", "x k", "h", pads=[2, 0], dilations=[2])], (1, 2, 9), {"k": normal(3, 2, 3)}
    ),
    "conv of volumes": Case(
        [node("Conv", "x k", "h", pads=[1, 0, 0, 1, 0, 0])],
        (1, 2, 3, 4, 3),
        {"k": normal(3, 2, 2, 2, 2)},
    ),
    "conv lower": Case([node("Conv", "x k b", "h", auto_pad="SAME_LOWER")], IMAGE, K),
    "conv transposed": Case(
        [node("ConvTranspose", "x t", "h", strides=[2, 1], pads=[1, 0, 0, 1])], IMAGE, T
    ),
    "conv transposed wide": Case(
        [node("ConvTranspose", "x t", "h", strides=[3, 3], output_padding=[2, 1])], IMAGE, T
    ),
    "cos": one("Cos"),
    "cumulated": Case([node("CumSum", "x a", "h", reverse=1)], TOKENS, {"a": np.array(1)}),
    "depth": one("DepthToSpace", (1, 4, 3, 2), blocksize=2),
    "divided": Case(
        [
            node("Exp", "x", "e"),
            node("Div", "x e", "q"),
            node("Div", "one e", "i"),
            node("Add", "q i", "h"),
        ],
        weights={"one": np.float32([2.0])},
        large=1.0,
    ),
    "dropout": one("Dropout", IMAGE),
    "einsum": Case([node("Einsum", "x x", "h", equation="bij,bkj->bik")], TOKENS),
    "einsum constant": Case(
        [node("Einsum", "x w", "h", equation="bij,jk->bki")], TOKENS, {"w": normal(6, 3)}
    ),
    "elu": one("Elu", alpha=0.6),
    "erf": one("Erf"),
    "exp": one("Exp"),
    "expand": Case([node("Expand", "x s", "h")], (1, 3, 1), {"s": ints(1, 3, 4)}),
    "gather": Case(
        [node("Gather", "x i", "h", axis=2)], (1, 3, 5), {"i": np.array([[4, 0], [1, 1]])}
    ),
    "gelu": one("Gelu")._replace(opset=20),
    "gelu by tanh": one("Gelu", approximate="tanh")._replace(opset=20),
    "gelu in nodes": gelu(node("Mul", "x a", "p"), node("Mul", "p half", "h")),
    "gelu halved first": gelu(node("Mul", "half x", "p"), node("Mul", "p a", "h")),
    "gelu doubled": gelu(node("Mul", "x a", "h")),
    "gemm of values": Case(
        [node("Reshape", "x s", "m"), node("Gemm", "m m m", "h", alpha=0.5, transA=1)],
        (1, 9),
        {"s": ints(3, 3)},
    ),
    "gemm of rows": Case(
        [node("Reshape", "x s", "m"), node("Gemm", "m w c", "h", transB=1, beta=0.5)],
        TOKENS,
        {"s": ints(4, 6), "w": normal(3, 6), "c": normal(3)},
    ),
    "global maximum": one("GlobalMaxPool", IMAGE),
    "global mean of series": one("GlobalAveragePool", (1, 2, 5)),
    "group norm": Case(
        [node("GroupNormalization", "x g b", "h", num_groups=2, epsilon=1e-3)],
        (1, 4, 3, 2),
        {"g": normal(4), "b": normal(4, seed=1)},
        opset=21,
    ),
    "hard sigmoid": one("HardSigmoid", alpha=0.3, beta=0.4),
    "hard swish": one("HardSwish"),
    "hard swish in nodes": Case(
        [
            node("Add", "x c", "a"),
            node("Clip", "a l m", "p"),
            node("Mul", "x p", "q"),
            node("Div", "q m", "h"),
        ],
        weights={"c": np.float32(3), "l": np.float32(0), "m": np.float32(6)},
    ),
    "instance norm": Case([node("InstanceNormalization", "x g b", "h")], IMAGE, GAIN),
    "layer norm": Case(
        [node("LayerNormalization", "x g b", "h", axis=-2, epsilon=1e-3)],
        TOKENS,
        {"g": normal(4, 6), "b": normal(4, 6, seed=1)},
    ),
    "layer norm in nodes": normalisation("quotient", [-1], 6),
    "layer norm by products": normalisation("products", [2], 6),
    "leaky": one("LeakyRelu", alpha=0.3),
    "leaky beyond": one("LeakyRelu", alpha=-0.5),
    "log": positive("Log"),
    "log sigmoid": Case([node("Sigmoid", "x", "s"), node("Log", "s", "h")]),
    "log softmax": Case([node("LogSoftmax", "x", "l", axis=1), node("Neg", "l", "h")], IMAGE),
    "matmul from the left": Case([node("MatMul", "w x", "h")], TOKENS, {"w": normal(3, 4)}),
    "matmul of a vector": Case(
        [node("MatMul", "w x", "p"), node("MatMul", "p v", "q"), node("Mul", "q u", "h")],
        (6,),
        {"w": normal(3, 6), "v": normal(3, 4), "u": normal(1, 4)},
    ),
    "matmul to a vector": Case([node("MatMul", "x w", "h")], TOKENS, {"w": normal(6)}),
    "matmul of rows": Case(
        [node("MatMul", "x w", "p"), node("Add", "p b", "h")],
        TOKENS,
        {"w": normal(1, 6, 3), "b": normal(3)},
    ),
    "max": Case(
        [node("Neg", "x", "n"), node("Max", "x n c", "h")], weights={"c": np.float32([[1.0]])}
    ),
    "max ceiling": one(
        "MaxPool", IMAGE, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0], ceil_mode=1
    ),
    "max dilated": one("MaxPool", IMAGE, kernel_shape=[2, 3], dilations=[3, 2], pads=[1, 2, 0, 0]),
    "max lower": one("MaxPool", IMAGE, kernel_shape=[2, 2], auto_pad="SAME_LOWER"),
    "max of volumes": one("MaxPool", (1, 2, 4, 3, 4), kernel_shape=[2, 2, 2], strides=[2, 1, 1]),
    "max padded": one("MaxPool", IMAGE, kernel_shape=[3, 3], strides=[2, 1], pads=[1, 0, 1, 2]),
    "mean": Case([node("Neg", "x", "n"), node("Mean", "x c n", "h")], weights={"c": normal(6)}),
    "min": Case([node("Sin", "x", "s"), node("Min", "x s", "h")]),
    "mish": one("Mish"),
    "mish in nodes": Case(
        [node("Softplus", "x", "s"), node("Tanh", "s", "t"), node("Mul", "x t", "h")], opset=13
    ),
    "pad": Case(
        [node("Pad", "x p v", "h")], IMAGE, {"p": ints(0, 0, 1, 0, 0, 0, 0, 2), "v": np.float32(3)}
    ),
    "pad channels": Case([node("Pad", "x p", "h")], IMAGE, {"p": ints(0, 1, 0, 0, 0, 0, 1, 0)}),
    "pad edge": one("Pad", IMAGE, "x p", mode="edge")._replace(
        weights={"p": ints(0, 0, 1, 0, 0, 0, 0, 2)}
    ),
    "pad reflected": one("Pad", IMAGE, "x p", mode="reflect")._replace(
        weights={"p": ints(0, 0, 2, 0, 0, 0, 1, 1)}
    ),
    "power": Case(
        [
            node("Pow", "x two", "s"),
            node("Pow", "s three", "t"),
            node("Add", "s one", "a"),
            node("Pow", "a root", "r"),
            node("Sub", "t r", "h"),
        ],
        weights={"two": np.float32(2), "three": np.float32(3), "one": np.float32(1)}
        | {"root": np.float32(-0.5)},
        large=1.0,
    ),
    "prelu": Case([node("PRelu", "x s", "h")], IMAGE, {"s": normal(2, 1, 1)}),
    "prelu of one": Case([node("PRelu", "x s", "h")], IMAGE, {"s": np.float32([0.3])}),
    "product of two": Case([node("Tanh", "x", "t"), node("Mul", "x t", "h")]),
    "product with means": Case(
        [node("GlobalAveragePool", "x", "m"), node("Sigmoid", "m", "g"), node("Mul", "x g", "h")],
        IMAGE,
    ),
    "reciprocal": positive("Reciprocal"),
    "reduced all": one("ReduceMax", IMAGE, keepdims=0),
    "reduced by axes": Case(
        [node("ReduceMean", "x a", "h", keepdims=0)], IMAGE, {"a": ints(1, -1)}
    ),
    "reduced in old files": one("ReduceSum", IMAGE, axes=[2], keepdims=1)._replace(opset=11),
    "reduced l1": one("ReduceL1"),
    "reduced l2": one("ReduceL2")._replace(opset=13),
    "reduced log sum exp": one("ReduceLogSumExp")._replace(opset=13),
    "reduced min": one("ReduceMin"),
    "reduced squares": one("ReduceSumSquare")._replace(opset=13),
    "resize cubic": resize("cubic", [1.5, 2.0]),
    "resize linear": resize("linear", [2.0, 2.4], coordinate_transformation_mode="half_pixel"),
    "resize nearest": resize(
        "nearest", [1.5, 0.6], coordinate_transformation_mode="asymmetric", nearest_mode="floor"
    ),
    "resize repeated": resize("nearest", [2.0, 3.0]),
    "resize to sizes": Case(
        [bare("Resize", ["x", "", "", "n"], mode="linear", **CORNERS)],
        IMAGE,
        {"n": ints(1, 2, 4, 7)},
    ),
    "rms norm": Case([node("RMSNormalization", "x g", "h")], TOKENS, {"g": normal(6)}, opset=23),
    "root": positive("Sqrt"),
    "selu": one("Selu"),
    "selu of others": one("Selu", alpha=0.8, gamma=1.5),
    "sin": one("Sin"),
    "slices": Case(
        [node("Slice", "x a b c d", "h")],
        IMAGE,
        {"a": ints(0, 3), "b": ints(6, -9), "c": ints(2, 3), "d": ints(2, -1)},
    ),
    "softmax of channels": Case([node("Softmax", "x", "s", axis=1), node("Neg", "s", "h")], IMAGE),
    "softmax of old files": Case([node("Softmax", "x", "s"), node("Neg", "s", "h")], opset=11),
    "softplus": one("Softplus"),
    "softplus in pieces": Case(
        [
            node("Mul", "x two", "z"),
            node("Softplus", "z", "s"),
            node("Div", "s two", "p"),
            node("Greater", "z most", "c"),
            node("Where", "c x p", "h"),
        ],
        weights={"two": np.float32(2), "most": np.float32(20)},
        large=9.0,
    ),
    "softsign": one("Softsign"),
    "softsign in nodes": Case(
        [node("Abs", "x", "a"), node("Add", "a one", "d"), node("Div", "x d", "h")],
        weights={"one": np.float32(1)},
    ),
    "space": one("SpaceToDepth", (1, 2, 4, 6), blocksize=2),
    "squeezed": Case(
        [node("Unsqueeze", "x i", "u"), node("Squeeze", "u j", "h")],
        TOKENS,
        {"i": ints(1, 4), "j": ints(0, -1)},
    ),
    "sum": Case(
        [node("Neg", "x", "n"), node("Sin", "x", "s"), node("Sum", "x n s c", "h")],
        weights={"c": normal(1, 6)},
    ),
    "swish": one("Swish", alpha=1.4)._replace(opset=24),
    "swish in nodes": Case([node("Sigmoid", "x", "s"), node("Mul", "s x", "h")]),
    "tile": Case([node("Tile", "x n", "h")], (1, 2, 3), {"n": ints(1, 2, 2)}),
    "trilu": one("Trilu", (1, 4, 4), upper=0),
    "upsample": Case(
        [node("Upsample", "x s", "h", mode="nearest")], IMAGE, {"s": np.float32([1, 1, 2, 2])}, 9
    ),
    "where": Case(
        [node("Where", "c x w", "h")],
        weights={"c": normal(6) > 0, "w": normal(1, 6, seed=1)},
    ),
    "where both": Case(
        [node("Neg", "x", "n"), node("Where", "c x n", "h")], weights={"c": normal(6) > 0}
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_an_operation_computes_what_the_evaluator_does(name: str, tmp_path: Path) -> None:
    nodes, shape, weights, opset, large = CASES[name]
    whole = [*nodes, node("Reshape", "h flat", "y")]
    path = save(tmp_path / "net.onnx", whole, {**weights, "flat": ints(1, -1)}, shape, opset)
    network = onnx_file.read(path)
    flat = normal(5, network.positions.size, seed=8, size=large)
    theirs = np.stack([network.evaluate(x) for x in flat])
    ours = network.model(network.laid(flat)).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert theirs.std() > 0.05


def test_the_page_names_every_operation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "onnx.md").read_text()
    names = set(re.findall(r"\w+", page))
    assert not {*OPERATIONS, *MOVES} - names


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_evaluator_computes_what_onnxruntime_does(name: str, tmp_path: Path) -> None:
    nodes, shape, weights, opset, large = CASES[name]
    whole = [*nodes, node("Reshape", "h flat", "y")]
    path = save(tmp_path / "net.onnx", whole, {**weights, "flat": ints(1, -1)}, shape, opset)
    x = normal(*shape, seed=8, size=large)
    wanted = ReferenceEvaluator(onnx_file.loading.loaded(path)).run(None, {"x": x})[0]
    answer = onnxruntime.InferenceSession(path).run(None, {"x": x})[0]
    np.testing.assert_allclose(answer, wanted, rtol=1e-4, atol=1e-5)
