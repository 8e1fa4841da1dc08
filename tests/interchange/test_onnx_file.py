"""ONNX files as Keras networks, against ONNX's own reference evaluator."""

import sys
import time
from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from rt_tf.bounds.methods import crown_ibp_bounds
from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.interchange import onnx_file, operations
from rt_tf.interchange.nodes.call import Call
from rt_tf.interchange.nodes.values import Value
from rt_tf.interchange.onnx_file import OnnxNetwork
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region
from tests.interchange.files import dense_relu, node, normal, save

RELU = operations.OPERATIONS["Relu"]
IMAGE = (1, 2, 6, 5)
FLATTENED = {"w": normal(4, 60, seed=3), "b": normal(4, seed=4)}
HEAD = [node("Flatten", "h", "f"), node("Gemm", "f w b", "y", transB=1)]


def statistics(channels: int, prefix: str = "") -> dict[str, np.ndarray]:
    names = ("gamma", "beta", "mean", "variance")
    values = [normal(channels, seed=k) for k in range(3)]
    values.append(1.0 + np.abs(normal(channels, seed=9)))
    return {f"{prefix}{name}": value for name, value in zip(names, values, strict=True)}


def convolution(**settings):
    """A convolution to 4 channels, then a Gemm that knows its shape."""

    def network(path: Path) -> Path:
        groups = settings.get("group", 1)
        weights = {"k": normal(4, 2 // groups, 3, 3, seed=1), "c": normal(4, seed=2)}
        head = [node("Conv", "x k c", "z", **settings), node("Relu", "z", "h")]
        alone = save(path, [node("Conv", "x k c", "y", **settings)], weights, IMAGE)
        zeros = {"x": np.zeros(IMAGE, np.float32)}
        size = ReferenceEvaluator(str(alone)).run(None, zeros)[0].size
        return save(
            path, [*head, *HEAD], weights | {"w": normal(4, size, seed=3), "b": normal(4)}, IMAGE
        )

    return network


def pooling(op: str, size: int, **settings):
    """A pooling between two convolutions' worth of layers; size: of what is flattened."""

    def network(path: Path) -> Path:
        nodes = [node(op, "x", "p", **settings), node("Tanh", "p", "h")]
        return save(path, [*nodes, *HEAD], {"w": normal(4, size, seed=3), "b": normal(4)}, IMAGE)

    return network


def matmul(path: Path) -> Path:
    """Images of one row, less their mean, then MatMul and Add, like ACAS Xu's."""
    weights = {"m": normal(1, 1, 1, 5), "w": normal(5, 7, seed=1), "b": normal(7, seed=2)}
    weights |= {"v": normal(7, 3, seed=3), "c": normal(3, seed=4)}
    nodes = [node("Sub", "x m", "s"), node("Flatten", "s", "f"), node("MatMul", "f w", "z")]
    nodes += [node("Add", "z b", "a"), node("Relu", "a", "h"), node("MatMul", "h v", "u")]
    return save(path, [*nodes, node("Add", "c u", "y")], weights, (1, 1, 1, 5))


def columns(path: Path) -> Path:
    """A column of inputs, multiplied from the left; a leaky ReLU, a sigmoid."""
    weights = {"w": normal(7, 5, seed=1), "b": normal(7, 1, seed=2), "v": normal(3, 7, seed=3)}
    nodes = [
        node("MatMul", "w x", "z"),
        node("Add", "z b", "a"),
        node("LeakyRelu", "a", "h", alpha=0.2),
    ]
    nodes += [node("Sigmoid", "h", "s"), node("MatMul", "v s", "u"), node("Flatten", "u", "y")]
    return save(path, nodes, weights, ("batch", 5, 1))


def eran(path: Path) -> Path:
    """Normalised by channel, channels-last as TensorFlow's, flattened by a computed shape."""
    weights = {"m": normal(2), "d": np.float32([0.5, 3.0]), "k": normal(2, 2, 3, 3, seed=1)}
    weights |= {"n": np.array([1, -1]), "w": normal(60, 4, seed=3), "one": np.array([1])}
    nodes = [node("Sub", "x m", "s"), node("Div", "s d", "r")]
    nodes += [
        node("Transpose", "r", "t", perm=[0, 3, 1, 2]),
        node("Conv", "t k", "z", pads=[1] * 4),
    ]
    nodes += [
        node("Relu", "z", "h"),
        node("Shape", "h", "shape"),
        node("Constant", "", "i", value_ints=[0]),
    ]
    nodes += [node("Gather", "shape i", "g"), node("Mul", "g one", "batch")]
    nodes += [
        node("Constant", "", "rest", value_ints=[-1]),
        node("Concat", "batch rest", "q", axis=0),
    ]
    nodes += [node("Reshape", "h q", "f"), node("MatMul", "f w", "y")]
    return save(path, nodes, weights, ("batch", 6, 5, 2))


def flat_images(path: Path) -> Path:
    """Vectors that are images of two channels, with a scale for every pixel."""
    weights = {"s": normal(1, 60, seed=5), "shape": np.array([-1, 2, 6, 5]), **FLATTENED}
    nodes = [node("Reshape", "x shape", "i"), node("Conv", "i k", "h", pads=[1] * 4)]
    nodes += [node("Flatten", "h", "g"), node("Mul", "g s", "f"), HEAD[1]]
    return save(path, nodes, weights | {"k": normal(2, 2, 3, 3, seed=1)}, (1, 60))


def residual(path: Path) -> Path:
    """Batch norm, two branches that meet, and global means."""
    weights = {"k": normal(3, 2, 3, 3), "l": normal(3, 3, 3, 3, seed=1), "w": normal(3, 4, seed=2)}
    names = "gamma beta mean variance"
    nodes = [node("Conv", "x k", "z", pads=[1] * 4), node("BatchNormalization", f"z {names}", "n")]
    nodes += [node("Relu", "n", "h"), node("Conv", "h l", "r", pads=[1] * 4)]
    nodes += [node("Add", "r h", "a"), node("Relu", "a", "o"), node("GlobalAveragePool", "o", "p")]
    nodes += [node("Dropout", "p", "d"), node("Squeeze", "d axes", "v"), node("MatMul", "v w", "y")]
    return save(path, nodes, weights | statistics(3) | {"axes": np.array([2, 3])}, IMAGE)


def normalised_vectors(path: Path) -> Path:
    """Batch norm of what was flattened, whose channels are places of images."""
    names = "gamma beta mean variance"
    nodes = [node("Flatten", "x", "g"), node("BatchNormalization", f"g {names}", "f"), HEAD[1]]
    return save(path, nodes, {**FLATTENED, **statistics(60)}, IMAGE)


def shared(path: Path) -> Path:
    """A product that is read twice: the bias of one reader is not the other's."""
    weights = {"w": normal(5, 3), "b": normal(3, seed=1), "two": np.float32([2.0])}
    nodes = [node("MatMul", "x w", "z"), node("Add", "z b", "a"), node("Mul", "z two", "m")]
    return save(path, [*nodes, node("Sub", "a m", "y")], weights, (1, 5))


def copied(path: Path) -> Path:
    """Images whose channels a reshape copies from what it reshapes."""
    weights = {"k": normal(4, 2, 3, 3, seed=1), "s": np.array([0, 0, 6, 5]), "c": normal(4, seed=2)}
    nodes = [node("Reshape", "x s", "i"), node("Conv", "i k c", "h", pads=[1] * 4)]
    weights |= {"w": normal(4, 120, seed=3), "b": normal(4)}
    return save(path, [*nodes, *HEAD], weights, (1, 2, 30))


def deep(path: Path) -> Path:
    """Sixty layers, whose rounding adds up."""
    matrices = [normal(20, 20, seed=k, size=0.1**0.5) for k in range(60)]
    biases = [normal(20, seed=k, size=0.3) for k in range(60)]
    return dense_relu(path, [*matrices, normal(2, 20, seed=7)], [*biases, normal(2)])


def biases_of_one(path: Path) -> Path:
    """A product that is read by itself and with two biases, each the first operand of its sum."""
    weights = {"w": normal(5, 3), "b": normal(3, seed=1), "c": normal(3, seed=2)}
    nodes = [node("MatMul", "x w", "z"), node("Add", "b z", "a"), node("Add", "c z", "d")]
    nodes += [node("Relu", "a", "h"), node("Tanh", "d", "t"), node("Add", "h t", "s")]
    return save(path, [*nodes, node("Add", "s z", "y")], weights, (1, 5))


NETWORKS = {
    "matmul": matmul,
    "columns": columns,
    "eran": eran,
    "flat images": flat_images,
    "residual": residual,
    "normalised vectors": normalised_vectors,
    "shared": shared,
    "biases of one": biases_of_one,
    "copied": copied,
    "deep": deep,
    "conv": convolution(),
    "conv strided": convolution(strides=[2, 2], pads=[1, 1, 1, 1]),
    "conv lopsided": convolution(strides=[2, 1], pads=[0, 2, 1, 0]),
    "conv same": convolution(strides=[2, 2], auto_pad="SAME_UPPER"),
    "conv dilated": convolution(dilations=[2, 1]),
    "conv grouped": convolution(group=2, pads=[1, 1, 1, 1]),
    "average": pooling("AveragePool", 12, kernel_shape=[2, 2], strides=[2, 2]),
    "average padded": pooling(
        "AveragePool", 24, kernel_shape=[2, 2], strides=[2, 2], pads=[1] * 4, count_include_pad=1
    ),
    "average same": pooling("AveragePool", 60, kernel_shape=[3, 3], pads=[1] * 4),
    "maximum": pooling("MaxPool", 16, kernel_shape=[3, 2], strides=[2, 1]),
    "maximum same": pooling("MaxPool", 60, kernel_shape=[3, 3], pads=[1] * 4),
}


def read(make, folder: Path) -> tuple[OnnxNetwork, ReferenceEvaluator]:
    path = make(folder / "net.onnx")
    return onnx_file.read(path), ReferenceEvaluator(str(path))


def theirs(evaluator: ReferenceEvaluator, network: OnnxNetwork, flat: np.ndarray) -> np.ndarray:
    return np.stack([evaluator.run(None, {"x": x.reshape(network.shape)})[0].ravel() for x in flat])


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_compute_what_the_files_say(name: str, tmp_path: Path) -> None:
    network, evaluator = read(NETWORKS[name], tmp_path)
    flat = normal(7, network.positions.size, seed=8, size=3.0)
    wanted = theirs(evaluator, network, flat)
    assert np.abs(wanted).max() > 0.5
    assert (wanted.std(axis=0) > 1e-2).all()
    outputs = network.model(network.laid(flat)).numpy()
    np.testing.assert_allclose(outputs, wanted, atol=1e-4, rtol=1e-4)
    np.testing.assert_allclose(network.evaluate(flat[0]), wanted[0], rtol=1e-6)


@pytest.mark.parametrize("name", ["matmul", "eran", "residual", "conv lopsided"])
def test_bounds_of_the_network_hold_for_the_file(name: str, tmp_path: Path) -> None:
    network, evaluator = read(NETWORKS[name], tmp_path)
    centre, random = normal(1, network.positions.size, size=0.3), np.random.default_rng(2)
    graph = trace(network.model).lower()
    region = Region(Linf(), tf.constant(network.laid(centre)), 0.02, Domain(-9.0, 9.0))
    outputs = network.model.output_shape[-1]
    least = crown_ibp_bounds(graph, region, tf.eye(outputs)[tf.newaxis], arithmetic="sound")
    moves = random.uniform(-0.0199, 0.0199, (200, centre.size)).astype(np.float32)
    values = theirs(evaluator, network, centre + moves)
    assert (values >= least.margins.numpy()).all()
    assert (values.min(axis=0) - least.margins.numpy() < 5.0).all()


@pytest.mark.parametrize(
    ("shape", "wanted"),
    [
        ((1, 3, 4, 5), (4, 5, 3)),
        ((1, 12), (12,)),
        ((1, 12, 1), (12,)),
        (("n", 12), (12,)),
    ],
)
def test_images_are_channels_last_and_vectors_stay(shape, wanted, tmp_path: Path) -> None:
    size = int(np.prod(shape[1:]))
    nodes = [node("Flatten", "x", "f"), node("MatMul", "f w", "y")]
    network = onnx_file.read(save(tmp_path / "net.onnx", nodes, {"w": normal(size, 3)}, shape))
    assert network.model.input_shape[1:] == wanted
    assert network.model.output_shape == (None, 3)


def test_weights_and_biases_are_one_layer(tmp_path: Path) -> None:
    network, _ = read(matmul, tmp_path)
    kinds = [type(layer).__name__ for layer in network.model.layers[1:]]
    assert kinds == ["Rescaling", "Flatten", "Dense", "ReLU", "Dense"]
    np.testing.assert_array_equal(network.model.layers[-1].bias, normal(3, seed=4))


def test_a_final_softmax_is_left_out_with_a_note(tmp_path: Path) -> None:
    nodes = [node("MatMul", "x w", "z"), node("Softmax", "z", "y", axis=1)]
    network, evaluator = read(lambda path: save(path, nodes, {"w": normal(5, 3)}, (1, 5)), tmp_path)
    assert network.notes == ("the final softmax is left out: it keeps the order of the logits",)
    x = normal(1, 5, seed=1)
    logits = np.exp(network.model(x).numpy())
    np.testing.assert_allclose(logits / logits.sum(), evaluator.run(None, {"x": x})[0], rtol=1e-5)


CLASSES = {  # axis, opset, shape of the logits -> whether the softmax is over all of them
    "default": ({}, 13, [1, 6], True),
    "last": ({"axis": -1}, 15, [1, 6], True),
    "old default": ({}, 11, [1, 6], True),
    "old class axis": ({"axis": 1}, 11, [1, 6, 1, 1], True),
    "class axis": ({"axis": 1}, 13, [1, 6, 1, 1], True),
    "batch axis": ({"axis": 0}, 13, [1, 6], False),
    "old default of two axes": ({}, 11, [1, 2, 3], False),
    "old last of two axes": ({"axis": 2}, 11, [1, 2, 3], False),
    "groups": ({"axis": -1}, 13, [1, 2, 3], False),
    "class axis of two": ({"axis": 1}, 13, [1, 2, 3], False),
}


@pytest.mark.parametrize("name", CLASSES)
def test_a_softmax_is_left_out_only_if_it_keeps_the_order(name: str, tmp_path: Path) -> None:
    settings, opset, shape, kept = CLASSES[name]
    nodes = [node("MatMul", "x w", "z"), node("Reshape", "z s", "r")]
    nodes.append(node("Softmax", "r", "y", **settings))
    weights = {"w": normal(5, 6), "s": np.array(shape)}
    path = save(tmp_path / "net.onnx", nodes, weights, (1, 5), opset)
    x = normal(50, 5, seed=1)
    wanted = np.stack([ReferenceEvaluator(str(path)).run(None, {"x": v[None]})[0] for v in x])
    orders = (wanted.reshape(50, 6).argsort(axis=1) == (x @ weights["w"]).argsort(axis=1)).all()
    assert orders == kept
    if kept:
        assert onnx_file.read(path).model.output_shape == (None, 6)
        return
    with pytest.raises(UserError, match=r"node 'the_y' \(Softmax\): expected a final softmax over"):
        onnx_file.read(path)


LSTM = node("LSTM", "x w r", "y", hidden_size=3)
NO_GRAPH = onnx.helper.make_graph([], "empty", [], [])
REFUSED = {
    "unknown": (
        [node("Det", "x", "y")],
        r"'the_y' \(Det\): expected operations among Abs, .*'Det'",
    ),
    "recurrent": ([LSTM], r"'the_y' \(LSTM\): expected .* has bounds; received a recurrent layer"),
    "jump": ([node("Round", "x", "y")], r"\(Round\): expected .*; received a function that jumps"),
    "quantised": (
        [node("DynamicQuantizeLinear", "x", "y")],
        r"\(DynamicQuantizeLinear\): .*; received quantised arithmetic",
    ),
    "control flow": (
        [node("If", "x", "y", then_branch=NO_GRAPH, else_branch=NO_GRAPH)],
        r"'the_y' \(If\): expected an operation that has bounds; received control flow",
    ),
    "condition": ([node("Where", "x w1 w1", "y")], "expected a constant condition; received one"),
    "whole numbers": ([node("Cast", "x", "y", to=7)], "expected a cast to a type with fractions"),
    "foreign softmax": (
        [node("MatMul", "x k", "z"), node("Softmax", "z", "y", domain="com.some")],
        r"'the_y' \(Softmax\): expected an operation of ONNX's own; received one of .* 'com.some'",
    ),
    "zero": ([node("Div", "x zero", "y")], "expected a divisor other than 0"),
    "infinite": ([node("Add", "x infinite", "y")], "expected finite constants as operand 1"),
    "matrix": ([node("MatMul", "x w", "y")], "expected a matrix that fits; received shapes"),
    "images": ([node("Conv", "x w4", "y")], r"expected a convolution of images of one to three"),
    "constant": ([node("Add", "w w", "y")], "an output that depends on the input"),
    "no output": ([node("Relu", "x", "h")], "an output that depends on the input"),
    "vector": ([node("Gemm", "x zero", "y")], r"\(Gemm\): expected a matrix as operand 1"),
    "absent": ([node("Add", "x q", "y")], r"\(Add\): expected operands that are .*received 'q'"),
    "later": (
        [node("Relu", "h", "y"), node("Tanh", "x", "h")],
        r"'the_y' \(Relu\): expected operands that .* of earlier nodes; received 'h'",
    ),
    "of constants": (
        [node("Foo", "w", "v"), node("MatMul", "x v", "y")],
        r"'the_v' \(Foo\): expected what ONNX's evaluator computes; received NotImplementedError",
    ),
    "foreign": (
        [node("Relu", "w", "v", domain="com.some"), node("MatMul", "x v", "y")],
        r"'the_v' \(Relu\): expected what ONNX's evaluator computes; received .*com.some",
    ),
    "size": ([node("Reshape", "x s", "y")], r"\(Reshape\): expected .* cannot reshape array of"),
    "places": (
        [node("Cast", "x", "i", to=7), node("Gather", "x i", "y")],
        "expected a cast to a type with fractions",
    ),
    "axis": ([node("ReduceSum", "x five", "y")], r"expected axes of its operand's 2; received"),
    "batch": ([node("Concat", "x x", "y", axis=0)], "expected an axis other than the batch's"),
    "exponents": ([node("Pow", "x w1", "y")], "expected one exponent; received exponents"),
    "letters": (
        [node("Einsum", "x x", "y", equation="ij,ij")],
        "expected two operands and a result",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_counterpart_is_refused(name: str, tmp_path: Path) -> None:
    nodes, words = REFUSED[name]
    weights = {"w": normal(3, 4), "r": normal(1, 3), "k": normal(4, 3), "w4": normal(3, 4, 1, 1)}
    weights |= {"zero": np.zeros(1, np.float32), "s": np.array([1, 5]), "w1": normal(1, 4)}
    weights |= {"infinite": np.float32([np.inf]), "five": np.array([5])}
    with pytest.raises(UserError, match=words) as caught:
        onnx_file.read(save(tmp_path / "net.onnx", nodes, weights, (1, 4)))
    assert "\n" not in str(caught.value)


WINDOWS = [
    (node("MaxPool", "x", "h"), "windows of them"),
    (node("MaxPool", "x", "h", kernel_shape=[2, 2]), "windows of them"),
    (node("MaxPool", "x", "h", kernel_shape=[9]), "windows that fit into the images"),
    (node("AveragePool", "x", "h", kernel_shape=[2], pads=[1] * 4), "pads of 2 numbers"),
    (node("AveragePool", "x", "h", kernel_shape=[2], dilations=[2]), r"dilations=\[1\]"),
    (node("MaxPool", "x", "h", kernel_shape=[2], pads=[2, 0]), "pads less than the windows"),
    (node("MaxPool", "x", "h", kernel_shape=[2], storage_order=1), "storage_order=0"),
    (node("Conv", "x k", "h", strides=[0], pads=[1] * 2), "strides and dilations from 1 on"),
    (node("Conv", "x k", "h", pads=[-1] * 2), "pads from 0 on"),
    (node("Conv", "x k", "h", dilations=[4]), "windows that fit into the images"),
    (node("Conv", "x k4", "h"), "a convolution of images of one to three axes"),
    (node("ConvTranspose", "x t", "h", output_shape=[9]), "pads; received output_shape"),
    (node("ConvTranspose", "x t", "h", auto_pad="SAME_UPPER"), "auto_pad=NOTSET"),
]


@pytest.mark.parametrize(("first", "words"), WINDOWS)
def test_windows_that_do_not_fit_are_refused(first, words: str, tmp_path: Path) -> None:
    weights = {"k": normal(3, 2, 3), "k4": normal(3, 2, 3, 3), "t": normal(2, 3, 3)}
    path = save(tmp_path / "net.onnx", [first, node("Flatten", "h", "y")], weights, (1, 2, 8))
    with pytest.raises(
        UserError, match=rf"'the_h' \({first.op_type}\): expected .*{words}"
    ) as caught:
        onnx_file.read(path)
    assert "\n" not in str(caught.value)


def test_what_keras_refuses_is_told_in_a_line(tmp_path: Path) -> None:
    nodes = [node("Conv", "x k", "h", strides=[2, 2], dilations=[2, 2]), node("Flatten", "h", "y")]
    path = save(tmp_path / "net.onnx", nodes, {"k": normal(4, 2, 3, 3)}, IMAGE)
    words = (
        r"'the_h' \(Conv\): expected what has a counterpart in Keras; received \w+Error: [^\n]+$"
    )
    with pytest.raises(UserError, match=words) as caught:
        onnx_file.read(path)
    assert str(caught.value).isprintable()


def test_sparse_weights_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", [node("MatMul", "x w", "y")], {}, (1, 4))
    file, places = onnx.load(path), numpy_helper.from_array(np.array([0, 5]), "")
    values = numpy_helper.from_array(np.ones(2, np.float32), "w")
    file.graph.sparse_initializer.append(onnx.helper.make_sparse_tensor(values, places, [4, 3]))
    onnx.save(file, path)
    with pytest.raises(UserError, match=r"\(MatMul\): expected .* dense initializers .* 'w'"):
        onnx_file.read(path)


def test_a_network_that_computes_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(operations.OPERATIONS, "Relu", operations.OPERATIONS["Tanh"])
    with pytest.raises(UserError, match=r"computes what .*net.onnx does; .* differ by \d+\.\d+"):
        read(matmul, tmp_path)


@pytest.mark.parametrize("wrong", [2e-5, -2e-5])
def test_a_difference_that_is_not_rounding_is_refused(
    wrong: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outputs are of size 7."""

    def moved(call: Call) -> Value:
        value = RELU(call)
        return value._replace(tensor=keras.layers.Rescaling(1.0, wrong)(value.tensor))

    monkeypatch.setitem(operations.OPERATIONS, "Relu", moved)
    with pytest.raises(UserError, match=r"which is more than rounding's \d.\d+e-05"):
        read(matmul, tmp_path)


def test_batch_normalisation_of_old_files_is_that_of_inference(tmp_path: Path) -> None:
    nodes = [node("BatchNormalization", "x gamma beta mean variance", "f"), HEAD[1]]
    weights = statistics(3) | {"w": normal(2, 3), "b": normal(2)}
    network = onnx_file.read(save(tmp_path / "net.onnx", nodes, weights, (1, 3), opset=9))
    x = normal(4, 3, seed=5)
    scale = weights["gamma"] / np.sqrt(weights["variance"] + 1e-5)
    wanted = ((x - weights["mean"]) * scale + weights["beta"]) @ weights["w"].T + weights["b"]
    np.testing.assert_allclose(network.model(x), wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network.evaluate(x[0]), wanted[0], rtol=1e-4, atol=1e-5)


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "empty.onnx").write_bytes(b"")
    whole = matmul(tmp_path / "whole.onnx").read_bytes()
    (tmp_path / "short.onnx").write_bytes(whole[: len(whole) // 2])
    for name in ("text", "empty", "short", "absent"):
        with pytest.raises(UserError, match=f"onnx_file: expected an .*{name}.onnx") as caught:
            onnx_file.read(tmp_path / f"{name}.onnx")
        assert "\n" not in str(caught.value)


def test_initializers_may_be_inputs_as_in_old_files(tmp_path: Path) -> None:
    """IR 3 lists every initializer among the inputs; all of ACAS Xu's files do."""
    file = onnx.load(matmul(tmp_path / "net.onnx"))
    for tensor in file.graph.initializer:
        listed = onnx.helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        file.graph.input.insert(0, listed)
    file.ir_version = 3
    onnx.save(file, tmp_path / "old.onnx")
    old, plain = onnx_file.read(tmp_path / "old.onnx"), onnx_file.read(tmp_path / "net.onnx")
    flat = normal(3, 5, seed=6)
    np.testing.assert_array_equal(old.model(old.laid(flat)), plain.model(plain.laid(flat)))
    np.testing.assert_array_equal(old.evaluate(flat[0]), plain.evaluate(flat[0]))


def test_one_axis_is_no_batch(tmp_path: Path) -> None:
    weights = {"w": normal(3, 5), "b": normal(5, seed=1), "v": normal(5, 2, seed=2)}
    nodes = [node("MatMul", "x w", "z"), node("Add", "z b", "a"), node("Relu", "a", "h")]
    nodes.append(node("MatMul", "h v", "y"))
    network, evaluator = read(lambda path: save(path, nodes, weights, (3,)), tmp_path)
    assert (network.model.input_shape, network.model.output_shape) == ((None, 3), (None, 2))
    flat = normal(4, 3, seed=6)
    wanted = np.maximum(flat @ weights["w"] + weights["b"], 0.0) @ weights["v"]
    np.testing.assert_allclose(network.model(network.laid(flat)), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(theirs(evaluator, network, flat), wanted, rtol=1e-5, atol=1e-6)


HUGE = {  # nodes from x [1, 4] and the constants they read
    "constant": ([node("ConstantOfShape", "s", "c"), node("MatMul", "x c", "y")], "constants"),
    "range": ([node("Range", "zero many one", "c"), node("MatMul", "x c", "y")], "constants"),
    "tiles": ([node("Tile", "w n", "c"), node("MatMul", "x c", "y")], "constants"),
    "product": ([node("MatMul", "a b", "c"), node("MatMul", "x c", "y")], "constants"),
    "padding": (
        [node("Reshape", "x q", "i"), node("Conv", "i k", "y", pads=[10**5] * 4)],
        "values of at most",
    ),
}


@pytest.mark.parametrize("name", HUGE)
def test_what_is_huge_is_refused_before_it_is_made(name: str, tmp_path: Path) -> None:
    nodes, words = HUGE[name]
    weights = {"s": np.array([4, 10**10]), "zero": np.float32(0.0), "many": np.float32(1e12)}
    weights |= {"one": np.float32(1.0), "w": normal(4, 2), "n": np.array([1, 10**11])}
    weights |= {"a": normal(40_000, 1), "b": normal(1, 40_000), "k": normal(2, 1, 1, 1)}
    path = save(tmp_path / "net.onnx", nodes, weights | {"q": np.array([1, 1, 2, 2])}, (1, 4))
    began = time.monotonic()
    with pytest.raises(UserError, match=words) as caught:
        onnx_file.read(path)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 2.0


def test_initializers_that_are_not_there_are_refused(tmp_path: Path) -> None:
    file = onnx.load(matmul(tmp_path / "net.onnx"))
    file.graph.initializer[1].dims[:] = [10**6, 10**6]
    onnx.save(file, tmp_path / "net.onnx")
    words = r"expected the 1000000000000 numbers \[1000000, 1000000\] of initializer 'w'"
    with pytest.raises(UserError, match=words):
        onnx_file.read(tmp_path / "net.onnx")


def test_loops_of_constants_are_not_run(tmp_path: Path) -> None:
    body = onnx.helper.make_graph([node("Relu", "w", "v")], "body", [], [])
    nodes = [node("Loop", "n", "v", body=body), node("MatMul", "x v", "y")]
    path = save(tmp_path / "net.onnx", nodes, {"n": np.array(10**15), "w": normal(4, 2)}, (1, 4))
    with pytest.raises(UserError, match=r"\(Loop\): expected an operation on constants"):
        onnx_file.read(path)


def test_what_the_evaluator_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    """The evaluator has no transposed convolutions in groups."""
    nodes = [node("ConvTranspose", "x w", "h", group=2), node("Flatten", "h", "y")]
    with pytest.raises(UserError, match="expected a network that ONNX's evaluator computes"):
        onnx_file.read(save(tmp_path / "net.onnx", nodes, {"w": normal(4, 1, 2, 2)}, (1, 4, 3, 3)))


@pytest.mark.parametrize("shape", [(2, 4), ("n", "m"), ("n",), (), (1, 0), (1, 10**9)])
def test_inputs_of_unknown_shape_are_refused(shape, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="of a known shape of at most .* numbers, one at a time"):
        onnx_file.read(save(tmp_path / "net.onnx", [node("Relu", "x", "y")], {}, shape))


def test_without_the_package_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(UserError, match=r"pip install -e '.\[vnn\]'"):
        onnx_file.read(tmp_path / "net.onnx")
