"""Forms of ONNX files: several outputs, other precisions, weights beside the file, functions."""

from pathlib import Path

import keras
import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from rt_tf.errors import UserError
from rt_tf.interchange import onnx_file
from rt_tf.interchange.parity import Comparer
from tests.interchange.files import node, normal, save

WEIGHTS = {"w": normal(5, 3), "b": normal(3, seed=1), "v": normal(3, 2, seed=2)}
NODES = [
    *(node("MatMul", "x w", "z"), node("Add", "z b", "a"), node("Relu", "a", "h")),
    node("MatMul", "h v", "y"),
]
LARGEST = float(np.finfo(np.float32).max)


def network(folder: Path, nodes=NODES, weights=WEIGHTS, shape=(1, 5), opset: int = 18) -> Path:
    return save(folder / "net.onnx", nodes, weights, shape, opset)


def changed(path: Path, change) -> Path:
    """The file after a change to its model."""
    file = onnx.load(path)
    change(file)
    onnx.save(file, path)
    return path


def with_outputs(*names: str):
    def change(file: onnx.ModelProto) -> None:
        values = [helper.make_tensor_value_info(name, 1, None) for name in names]
        file.graph.output.extend(values)

    return change


def test_one_of_several_outputs_is_read_by_its_name(tmp_path: Path) -> None:
    path = changed(network(tmp_path), with_outputs("h"))
    words = "expected one output, or the name of one; .*net.onnx has 'y', 'h'"
    with pytest.raises(UserError, match=words):
        onnx_file.read(path)
    with pytest.raises(UserError, match="expected an output among 'y', 'h'; received 'w'"):
        onnx_file.read(path, "w")
    inner, flat = onnx_file.read(path, "h"), normal(1, 5, seed=4)
    wanted = np.maximum(flat @ WEIGHTS["w"] + WEIGHTS["b"], 0.0)
    np.testing.assert_allclose(inner.model(inner.laid(flat)), wanted, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(inner.evaluate(flat[0]), wanted[0], rtol=1e-5, atol=1e-6)
    assert onnx_file.read(path, "y").model.output_shape == (None, 2)


def test_what_another_output_needs_is_not_asked_for(tmp_path: Path) -> None:
    path = network(tmp_path, [*NODES, node("Round", "h", "other")])
    assert onnx_file.read(changed(path, with_outputs("other")), "y").model.output_shape[1] == 2


def test_several_inputs_are_refused_by_their_names(tmp_path: Path) -> None:
    def change(file: onnx.ModelProto) -> None:
        file.graph.input.append(helper.make_tensor_value_info("mask", 1, [1, 5]))

    with pytest.raises(UserError, match="expected one input; .*net.onnx has 'x', 'mask'"):
        onnx_file.read(changed(network(tmp_path), change))


@pytest.mark.parametrize(("kind", "words"), [(7, "of type 7"), (9, "of type 9")])
def test_inputs_of_whole_numbers_are_refused(kind: int, words: str, tmp_path: Path) -> None:
    def change(file: onnx.ModelProto) -> None:
        file.graph.input[0].type.tensor_type.elem_type = kind

    with pytest.raises(UserError, match=f"expected an input in floating point .*{words}"):
        onnx_file.read(changed(network(tmp_path), change))


def test_one_output_is_enough(tmp_path: Path) -> None:
    nodes = [*NODES[:3], node("MatMul", "h v", "u"), node("Sigmoid", "u", "y")]
    read = onnx_file.read(network(tmp_path, nodes, WEIGHTS | {"v": normal(3, 1)}))
    assert read.model.output_shape == (None, 1)


def in_type(dtype: str):
    """A change of all weights, the input and the output to another type."""

    def change(file: onnx.ModelProto) -> None:
        number = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        for tensor in file.graph.initializer:
            array = numpy_helper.to_array(tensor).astype(dtype)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
        for value in (*file.graph.input, *file.graph.output):
            value.type.tensor_type.elem_type = number

    return change


@pytest.mark.parametrize(("dtype", "rounding"), [("float64", 1e-5), ("float16", 1e-2)])
def test_other_precisions_are_rounded_with_a_note(
    dtype: str, rounding: float, tmp_path: Path
) -> None:
    weights = {name: w.astype(np.float64) + 1e-9 for name, w in WEIGHTS.items()}
    path = changed(network(tmp_path, weights=weights), in_type(dtype))
    read, flat = onnx_file.read(path), normal(4, 5, seed=4)
    (note,) = read.notes
    assert note.startswith(f"the file computes in {dtype}: the network is its copy in float32")
    wanted = np.maximum(flat @ weights["w"] + weights["b"], 0.0) @ weights["v"]
    np.testing.assert_allclose(read.model(flat), wanted, rtol=rounding, atol=rounding)
    theirs = np.stack([read.evaluate(x) for x in flat])
    assert theirs.dtype == dtype
    np.testing.assert_allclose(theirs, wanted, rtol=rounding, atol=rounding)


def test_a_double_network_of_other_weights_is_another_network(tmp_path: Path) -> None:
    """Rounding explains the float32 copy of weights, and no more."""
    path = changed(network(tmp_path), in_type("float64"))
    read, flat = onnx_file.read(path), normal(20, 5, seed=4)
    Comparer(read.model, read.original()).compare(flat)
    kernel = read.model.layers[-1].kernel
    kernel.assign(kernel * (1.0 + 2e-5))
    with pytest.raises(UserError, match="which is more than rounding's"):
        Comparer(read.model, read.original()).compare(flat)


def test_weights_that_float32_does_not_hold_are_refused(tmp_path: Path) -> None:
    weights = {**WEIGHTS, "v": np.full((3, 2), 2.0 * LARGEST)}
    path = changed(network(tmp_path, weights=weights), in_type("float64"))
    with pytest.raises(UserError, match=r"in float32's range; 'v' has one of size 6.8\d+e\+38"):
        onnx_file.read(path)


def test_a_final_logarithm_of_softmax_is_left_out_with_a_note(tmp_path: Path) -> None:
    nodes = [*NODES[:3], node("MatMul", "h v", "u"), node("LogSoftmax", "u", "l")]
    read = onnx_file.read(network(tmp_path, [*nodes, node("Identity", "l", "y")]))
    assert read.notes[0].startswith("the final logarithm of softmax is left out")
    assert type(read.model.layers[-1]) is keras.layers.Dense
    flat = normal(3, 5, seed=4)
    shares = read.original().answers(flat)
    np.testing.assert_allclose(shares.sum(axis=1), 1.0, rtol=1e-5)


def beside(path: Path, location: str) -> Path:
    """The file with weight `w` in another file."""
    raw = WEIGHTS["w"].tobytes()
    (path.parent / location).write_bytes(raw)

    def change(file: onnx.ModelProto) -> None:
        tensor = next(tensor for tensor in file.graph.initializer if tensor.name == "w")
        tensor.ClearField("raw_data")
        tensor.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", location), ("length", str(len(raw)))):
            tensor.external_data.add(key=key, value=value)

    file = onnx.load(path)
    change(file)
    path.write_bytes(file.SerializeToString())
    return path


def test_weights_beside_the_file_are_read(tmp_path: Path) -> None:
    flat = normal(2, 5, seed=4)
    plain = onnx_file.read(network(tmp_path)).model(flat)
    read = onnx_file.read(beside(network(tmp_path), "weights.bin"))
    np.testing.assert_array_equal(read.model(flat), plain)


@pytest.mark.parametrize("location", ["../weights.bin", "absent.bin"])
def test_weights_out_of_the_folder_are_refused(location: str, tmp_path: Path) -> None:
    folder = tmp_path / "inner"
    folder.mkdir()
    path = beside(network(folder), location)
    (folder / "absent.bin").unlink(missing_ok=True)
    with pytest.raises(UserError, match=r"expected .*net.onnx") as caught:
        onnx_file.read(path)
    assert "\n" not in str(caught.value)


def test_functions_of_the_file_are_written_out(tmp_path: Path) -> None:
    def change(file: onnx.ModelProto) -> None:
        doubled = helper.make_node("Add", ["a", "a"], ["c"])
        versions = [helper.make_opsetid("", 18)]
        function = helper.make_function("own", "Twice", ["a"], ["c"], [doubled], versions)
        file.functions.append(function)
        file.opset_import.append(helper.make_opsetid("own", 1))

    nodes = [*NODES[:-1], node("MatMul", "h v", "u"), node("Twice", "u", "y", domain="own")]
    read, flat = onnx_file.read(changed(network(tmp_path, nodes), change)), normal(2, 5, seed=4)
    wanted = 2.0 * onnx_file.read(network(tmp_path)).model(flat)
    np.testing.assert_allclose(read.model(flat), wanted, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "first", "wanted"),
    [
        ((1, 8, 8, 1), [node("Reshape", "x gray", "i"), node("Conv", "i k", "h")], (8, 8, 1)),
        ((1, 8, 8, 1), [node("Reshape", "x flat", "h")], (8, 8, 1)),
        ((1, 8, 8, 2), [node("ReduceMax", "x axes", "h")], (8, 8, 2)),
        ((1, 2, 8, 8), [node("ReduceMax", "x axes", "h")], (8, 8, 2)),
        ((1, 64), [node("Reshape", "x gray", "i"), node("Conv", "i k", "h")], (8, 8, 1)),
        ((1, 64), [node("Reshape", "x last", "i"), node("ReduceMax", "i axes", "h")], (8, 8, 1)),
        ((1, 4, 6), [node("MatMul", "x w", "h")], (4, 6)),
        ((64,), [node("Identity", "x", "h")], (64,)),
    ],
)
def test_the_input_has_its_channels_last(shape, first, wanted, tmp_path: Path) -> None:
    weights = {"gray": np.array([-1, 1, 8, 8]), "flat": np.array([-1, 64]), "k": normal(2, 1, 3, 3)}
    weights |= {"last": np.array([-1, 8, 8, 1]), "axes": np.array([-1]), "w": normal(6, 2)}
    nodes = [*first, node("Reshape", "h one", "y")]
    path = network(tmp_path, nodes, weights | {"one": np.array([1, -1])}, shape)
    read = onnx_file.read(path)
    assert read.model.input_shape[1:] == wanted
    flat = normal(2, read.positions.size, seed=3)
    theirs = [read.evaluate(x) for x in flat]
    np.testing.assert_allclose(read.model(read.laid(flat)), theirs, rtol=1e-5, atol=1e-5)


def test_known_functions_are_layers_of_their_own(tmp_path: Path) -> None:
    """x sigmoid(x) is one activation, whose bounds are tighter than a product's."""
    nodes = [*NODES[:2], node("Sigmoid", "a", "s"), node("Mul", "a s", "h"), NODES[-1]]
    read = onnx_file.read(network(tmp_path, nodes))
    kinds = [type(layer).__name__ for layer in read.model.operations[1:]]
    assert kinds == ["Dense", "Activation", "Dense"]
    assert read.model.layers[2].activation is keras.activations.silu


def test_a_number_of_each_example_is_no_bias_of_channels(tmp_path: Path) -> None:
    """Keras adds it to channels where there are as many examples, if it is the second operand."""
    nodes = [node("GlobalAveragePool", "x", "m"), node("ReduceMean", "m all", "n")]
    nodes += [node("Add", "x n", "s"), node("Reshape", "s flat", "y")]
    weights = {"all": np.array([1, 2, 3]), "flat": np.array([1, -1])}
    read = onnx_file.read(network(tmp_path, nodes, weights, (1, 4, 3, 2)))
    inputs = read.laid(normal(4, 24))
    alone = np.concatenate([read.model(x[np.newaxis]) for x in inputs])
    np.testing.assert_allclose(read.model(inputs), alone, rtol=1e-6)
