"""Convolutions and pooling of the checker against TensorFlow's, and their transposes."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from rt_tf.checker import network as checked_network
from rt_tf.checker.malformed import MalformedError

SHAPE = (7, 6, 2)
STRIDES, DILATIONS = [(1, 1), (2, 2), (3, 2)], [(1, 1), (2, 2), (2, 3)]
CASES = [
    (padding, strides, dilations, kernel)
    for padding, strides, dilations, kernel in itertools.product(
        ("same", "valid"), STRIDES, DILATIONS, [(1, 1), (3, 3), (4, 2)]
    )
    if (padding, dilations, kernel) != ("valid", (2, 3), (3, 3))  # larger than the image
]


def network_of(node, arrays, shape=SHAPE):
    """A network of one operation, then a dense layer."""
    rng = np.random.default_rng(1)
    text = '{"schema": "rt_tf.network/1", "input_shape": %s, "output": 3, "nodes": [%s, %s, %s]}'
    size = int(np.prod(node.pop("out")))
    nodes = [
        str({**node, "inputs": [0]}).replace("'", '"'),
        f'{{"op": "flatten", "inputs": [1], "shape": [{size}]}}',
        '{"op": "dense", "inputs": [2]}',
    ]
    dense = {"3.kernel": rng.standard_normal((size, 2)), "3.bias": np.zeros(2)}
    arrays = {k: np.float32(v) for k, v in (arrays | dense).items()}
    return checked_network.from_arrays({"graph": np.array(text % (list(shape), *nodes)), **arrays})


def check_map(op, expected):
    """The forward map on images, and that the transpose is its transpose."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, *SHAPE))
    y = op.apply([x])
    np.testing.assert_allclose(y, expected(tf.constant(x)).numpy(), atol=1e-6)
    z = rng.standard_normal(y.shape)
    (back,) = op.transpose(z)
    assert back.shape == x.shape
    assert np.vdot(z, y) == pytest.approx(np.vdot(back, x), abs=1e-9)


@pytest.mark.parametrize(("padding", "strides", "dilations", "kernel"), CASES)
def test_convolutions_are_tensorflow_s(padding, strides, dilations, kernel):
    weights = np.random.default_rng(2).standard_normal((*kernel, 2, 3)).astype(np.float32)

    def expected(x):
        # Strides apart from dilations, which TensorFlow does not always do at once: of all places
        # those that windows are at, which depends on the padding of the strided convolution.
        if padding == "valid" or dilations == (1, 1):
            padded = x
        else:
            padded = tf.pad(x, [(0, 0), *map(around, SHAPE, kernel, strides, dilations), (0, 0)])
        if dilations == (1, 1):
            return tf.nn.conv2d(x, tf.cast(weights, x.dtype), strides, padding.upper())
        dense = tf.nn.conv2d(padded, tf.cast(weights, x.dtype), 1, "VALID", dilations=dilations)
        return dense[:, :: strides[0], :: strides[1]]

    shape = expected(tf.zeros((1, *SHAPE), tf.float64)).shape[1:]
    node = {"op": "conv", "strides": list(strides), "padding": padding, "out": shape}
    node["dilations"] = list(dilations)
    network = network_of(node, {"1.kernel": weights, "1.bias": np.zeros(3)})
    assert network.shape(1) == tuple(shape)
    check_map(network.nodes[0].op, expected)


def around(size, taps, stride, dilation):
    """TensorFlow's documentation: of what is missing, the larger half comes after."""
    windows = (size + stride - 1) // stride
    missing = max((windows - 1) * stride + (taps - 1) * dilation + 1 - size, 0)
    return missing // 2, missing - missing // 2


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("dilations", DILATIONS)
def test_dilated_convolutions_are_tensorflow_s_own(padding, dilations):
    weights = np.random.default_rng(2).standard_normal((3, 2, 2, 3)).astype(np.float32)

    def expected(x):
        kernel = tf.cast(weights, x.dtype)
        return tf.nn.conv2d(x, kernel, 1, padding.upper(), dilations=dilations)

    shape = expected(tf.zeros((1, *SHAPE), tf.float64)).shape[1:]
    node = {"op": "conv", "strides": [1, 1], "padding": padding, "out": shape}
    node["dilations"] = list(dilations)
    network = network_of(node, {"1.kernel": weights, "1.bias": np.zeros(3)})
    check_map(network.nodes[0].op, expected)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", STRIDES)
@pytest.mark.parametrize("size", [(1, 1), (2, 2), (3, 4)])
def test_average_pooling_is_tensorflow_s(padding, strides, size):
    def expected(x):
        return tf.nn.avg_pool2d(x, size, strides, padding.upper())

    shape = expected(tf.zeros((1, *SHAPE), tf.float64)).shape[1:]
    node = {"op": "average_pooling", "size": list(size), "strides": list(strides)}
    network = network_of({**node, "padding": padding, "out": shape}, {})
    check_map(network.nodes[0].op, expected)


@pytest.mark.parametrize("dilations", [[4, 1], [1, 3]])  # reaching over 9 rows, or 7 columns
def test_windows_larger_than_the_image_are_refused(dilations):
    node = {"op": "conv", "strides": [1, 1], "padding": "valid", "dilations": dilations}
    with pytest.raises(MalformedError, match="expected images no smaller than windows"):
        network_of({**node, "out": (1, 1, 4)}, ones(3, 3, 2, 4))


def ones(*shape):
    """Weights that leave no product out."""
    return {"1.kernel": np.ones(shape), "1.bias": np.zeros(shape[-1])}


VALID = {"strides": [1, 1], "padding": "valid"}
CONV = {"op": "conv", **VALID, "dilations": [1, 1], "out": (5, 5, 4)}
POOLING = {"op": "average_pooling", **VALID, "size": [2, 3], "out": (6, 4, 2)}
SUMS = {  # node, its arrays, products of an output, outputs that an input is in
    "conv": (CONV, ones(3, 2, 2, 4), 12, 24),
    "dense": ({"op": "dense", "out": (7, 6, 5)}, ones(2, 5), 2, 5),
    "pooling": (POOLING, {}, 6, 6),
}


@pytest.mark.parametrize("name", SUMS)
def test_terms_are_those_of_the_longest_sums(name):
    """They are what rounding is paid for: counted in the map's matrix, and known in advance."""
    node, arrays, terms, transposed_terms = SUMS[name]
    op = network_of(dict(node), arrays).nodes[0].op
    units = np.eye(int(np.prod(SHAPE))).reshape(-1, *SHAPE)
    is_summed = op.apply([units]).reshape(len(units), -1) != 0.0  # [inputs, outputs]
    assert is_summed.sum(axis=0).max() == terms == op.terms
    assert is_summed.sum(axis=1).max() == transposed_terms == op.transposed_terms
