"""Files that are not what docs/proofs.md says are refused in a line."""

import io
import json
import re
import zipfile

import numpy as np
import pytest
import tensorflow as tf
from one_proof import by_tree, outcome

from rt_tf.checker import archive
from rt_tf.checker.malformed import MalformedError
from rt_tf.checker.network import from_arrays

GRAPH = {
    "no such operation": (lambda g: g["nodes"][0].update(op="softmax"), "'op' to be one of"),
    "later input": (lambda g: g["nodes"][0].update(inputs=[3]), "nodes before it"),
    "node left out": (lambda g: g["nodes"].pop(2), "nodes before it"),
    "no weights": (lambda g: g["nodes"][2].update(op="dense"), "an array '3.kernel'"),
    "hidden output": (lambda g: g.update(output=99), "'output' to be one of"),
    "input shape": (lambda g: g.update(input_shape=[4, 4, 0]), "positive sizes"),
    "schema": (lambda g: g.update(schema="x"), "'schema' to be one of"),
    "attribute": (lambda g: g["nodes"][0].update(strides=[1, 1]), "no fields but"),
}


@pytest.mark.parametrize("name", GRAPH)
def test_a_graph_that_is_none_is_refused_in_a_line(name):
    q, arrays = by_tree()
    change, words = GRAPH[name]
    graph = json.loads(str(q.arrays["graph"]))
    change(graph)
    assert words in outcome(arrays, q.arrays | {"graph": np.array(json.dumps(graph))})


CONV = {"op": "conv", "strides": [1, 1], "padding": "same", "dilations": [1, 1]}
POOL = {"op": "average_pooling", "strides": [1, 1], "padding": "same"}
KERNELS = {
    "no outputs": ([{"op": "dense"}], (1, 0), "'kernel' of positive sizes; received (1, 0)"),
    "no taps": ([CONV], (0, 3, 1, 2), "'kernel' of positive sizes; received (0, 3, 1, 2)"),
    "no filters": ([CONV], (3, 3, 1, 0), "'kernel' of positive sizes; received (3, 3, 1, 0)"),
    "no axis": (
        [{"op": "reshape", "shape": []}, {"op": "dense"}],
        (1, 2),
        "1 values to multiply; received ()",
    ),
}


@pytest.mark.parametrize("name", KERNELS)
def test_a_kernel_of_nothing_or_upon_nothing_is_refused_in_a_line(name):
    records, shape, words = KERNELS[name]
    nodes = [record | {"inputs": [i]} for i, record in enumerate(records)]
    graph = {
        "schema": "rt_tf.network/1",
        "input_shape": [1, 1, 1],
        "output": len(nodes),
        "nodes": nodes,
    }
    weights = {"kernel": np.ones(shape, np.float32), "bias": np.zeros(shape[-1], np.float32)}
    arrays = {f"{len(nodes)}.{name}": values for name, values in weights.items()}
    with pytest.raises(MalformedError, match=re.escape(words)):
        from_arrays({"graph": np.array(json.dumps(graph)), **arrays})


@pytest.mark.parametrize(("magnitude", "holds"), [(2.0, True), (1.9, False)])
def test_every_channel_s_magnitude_is_no_less_than_its_bias(magnitude, holds):
    """Of a folded normalisation: what its bias was summed from pays for the sum's rounding."""
    arrays = network_of([{"op": "scale", "inputs": [0]}], [3])
    values = {"kernel": [1, 1, 1], "bias": [0, -2, 1], "magnitude": [5, magnitude, 5]}
    arrays |= {f"1.{name}": np.array(value, np.float32) for name, value in values.items()}
    if holds:
        assert from_arrays(arrays).output == 1
    else:
        with pytest.raises(MalformedError, match="'magnitude' to be no less than the bias's size"):
            from_arrays(arrays)


HUGE = {
    "dilation": [CONV | {"dilations": [10**8, 1]}],
    "dilations": [CONV | {"dilations": [10**5, 10**5]}],
    "padding": [{"op": "zero_padding", "padding": [[10**20, 0], [0, 0]]}],
    "padding of many digits": [{"op": "zero_padding", "padding": [[10**4000] * 2] * 2}],
    "pixels": [{"op": "zero_padding", "padding": [[5000, 5000], [5000, 5000]]}],
    "window": [POOL | {"size": [10**20, 1]}],
    "windows": [POOL | {"size": [3000, 3000]}],
    "paddings": [{"op": "zero_padding", "padding": [[1000, 1000], [1000, 1000]]}] * 20,
}


@pytest.mark.parametrize("name", HUGE)
def test_sizes_beyond_what_a_check_has_room_for_are_refused_in_a_line(name):
    """Before anything of such a size is made: in milliseconds, and without the memory."""
    nodes = [record | {"inputs": [i]} for i, record in enumerate(HUGE[name])]
    with pytest.raises(MalformedError, match=f"at most {2**26} values at once; received .*"):
        from_arrays(network_of(nodes, [8, 8, 1]))


def test_an_input_beyond_what_a_check_has_room_for_is_refused_in_a_line():
    for shape in ([10**9], [10**4000, 10**4000, 1]):
        with pytest.raises(MalformedError, match="values at once"):
            from_arrays(network_of([{"op": "dense", "inputs": [0]}], shape))


@pytest.mark.parametrize("far", [1, 3, 40])
def test_taps_beyond_the_image_add_nothing(far):
    """Dilations that are large, and allowed, are computed as TensorFlow does."""
    kernel = np.arange(18, dtype=np.float32).reshape(3, 3, 1, 2) - 4
    nodes = [
        CONV | {"dilations": [far, 1], "inputs": [0]},
        {"op": "flatten", "shape": [128], "inputs": [1]},
    ]
    arrays = network_of(nodes, [8, 8, 1]) | {"1.kernel": kernel}
    arrays["1.bias"] = np.zeros(2, np.float32)
    conv = from_arrays(arrays).nodes[0].op
    image = np.random.default_rng(0).random((1, 8, 8, 1))
    expected = tf.nn.conv2d(image, kernel.astype(np.float64), 1, "SAME", dilations=[far, 1])
    np.testing.assert_allclose(conv.apply([image]), expected, rtol=1e-12)
    y = np.random.default_rng(1).random((1, 8, 8, 2))
    pulled = conv.transpose(y)[0]
    np.testing.assert_allclose((pulled * image).sum(), (conv.apply([image]) * y).sum())


def network_of(nodes, shape) -> dict[str, np.ndarray]:
    """A network whose weights, of 3x3 windows, belong to its first node."""
    graph = {
        "schema": "rt_tf.network/1",
        "input_shape": shape,
        "output": len(nodes),
        "nodes": nodes,
    }
    weights = {"1.kernel": np.ones((3, 3, 1, 1), np.float32), "1.bias": np.zeros(1, np.float32)}
    convolved = nodes[0]["op"] == "conv"
    return {"graph": np.array(json.dumps(graph))} | (weights if convolved else {})


def saved(arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data[:-30],
        flipped,
        lambda data: b"",
        lambda data: b"PK\x03\x04",
        lambda data: saved({"header": np.array([{}], object)}),
        lambda data: np.lib.format.magic(1, 0),
    ],
)
def test_files_that_are_no_whole_archives_are_refused_in_a_line(tmp_path, spoil):
    q, arrays = by_tree()
    path = tmp_path / "proofs.npz"
    path.write_bytes(saved(arrays))
    assert outcome(archive.read(path), q.arrays) == "checked"
    path.write_bytes(spoil(saved(arrays)))
    with pytest.raises(MalformedError, match="expected a whole NumPy archive; .*"):
        archive.read(path)


def test_a_member_that_is_no_array_is_refused_in_a_line(tmp_path):
    path = tmp_path / "proofs.npz"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("header", "no array at all")
    with pytest.raises(MalformedError, match="expected an array 'header'; received other data"):
        archive.read(path)


def test_little_data_that_stands_for_much_is_refused_in_a_line(tmp_path):
    path = tmp_path / "proofs.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("images.npy", bytes(archive.ROOM + 1))
    with pytest.raises(MalformedError, match="bytes of arrays; received 268435457"):
        archive.read(path)
