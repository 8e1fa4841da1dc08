"""Records and arrays of network.npz (docs/proofs.md), from the operations of a lowered network."""

import math
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.network.lowerings.maxima import difference
from rt_tf.network.maps import positive
from rt_tf.network.maps.along import Along
from rt_tf.network.maps.convolution import Convolution
from rt_tf.network.maps.groups import DepthwiseConvolution, Grouped
from rt_tf.network.maps.one_row import OneRow
from rt_tf.network.maps.transposed import TransposedConvolution
from rt_tf.network.ops import Activation, Affine, Op, Positive
from rt_tf.network.relaxations import RELU

Arrays = dict[str, np.ndarray]
Shape = tuple[int, ...]
MOST_PLACES = 2**24  # that float32 tells apart


class Entry(NamedTuple):
    """The record of an operation, without its inputs, and its arrays by name."""

    record: dict[str, Any]
    arrays: Arrays


def entry_of(op: Op, inputs: list[Shape], output: Shape) -> Entry | None:
    """The entry of an operation; None for one that the format does not have.

    inputs, output: the shapes of the values that it reads, and of its own, without batch.
    """
    if isinstance(op, Affine):
        return _affine(op, inputs)
    if isinstance(op, Positive):
        return _positive(op, inputs, output)
    return _relu(op) if isinstance(op, Activation) else None


def _relu(op: Activation) -> Entry | None:
    """The record of a ReLU, leaky or not."""
    words = dict(getattr(op.fn, "keywords", {}))
    if not op.rectifies or getattr(op.fn, "func", None) is not getattr(RELU.fn, "func", None):
        return None
    slope = float(np.float32(words["negative_slope"]))
    return Entry({"op": "relu"} | ({"slope": slope} if slope else {}), {})


def _affine(op: Affine, inputs: list[Shape]) -> Entry | None:
    weights = {"kernel": _floats(op.kernel), "bias": _floats(op.bias)}
    if op.fn is difference:
        return _difference(inputs[0])
    if op.fn is tf.matmul:
        return Entry({"op": "dense"}, weights | {"bias": _bias(op, op.kernel.shape[-1])})
    if op.fn is tf.multiply:
        return Entry({"op": "scale"}, weights | {"magnitude": _floats(op.magnitude)})
    if isinstance(op.fn, Along):
        return _along(op.fn, weights["kernel"], np.abs(weights["kernel"]))
    return _convolution(op)


def _difference(source: Shape) -> Entry:
    """The entry of the second half of values along the first axis, less the first half."""
    places = np.arange(math.prod(source), dtype=np.int32).reshape(source)
    pairs = source[0] // 2
    index = np.stack([places[pairs : 2 * pairs], places[:pairs]])
    return Entry({"op": "difference"}, {"index": index})


def _along(along: Along, kernel: np.ndarray, sizes: np.ndarray) -> Entry:
    return Entry({"op": "along", "axis": along.axis - 1}, {"kernel": kernel, "sizes": sizes})


def _convolution(op: Affine) -> Entry | None:
    """The entry of a convolution of images, or of sequences as images of one row."""
    fn, kernel, groups, padding = op.fn, _floats(op.kernel), 1, None
    if isinstance(fn, Grouped):
        groups, fn = fn.groups, fn.convolve
    if isinstance(fn, OneRow):
        kernel = kernel[np.newaxis]
        padding = "causal" if fn.before else None
        fn = fn.of_images
    if isinstance(fn, DepthwiseConvolution):
        groups = kernel.shape[2]
        kernel = kernel.reshape(*kernel.shape[:2], 1, -1)
    transposed = isinstance(fn, TransposedConvolution)
    geometry = fn.convolution if isinstance(fn, TransposedConvolution) else fn
    if not isinstance(geometry, Convolution | DepthwiseConvolution):
        return None
    record = {
        "op": "transposed_conv" if transposed else "conv",
        "strides": list(geometry.strides),
        "padding": padding or geometry.padding.lower(),
        "dilations": list(geometry.dilations),
    }
    if isinstance(fn, TransposedConvolution):
        record["size"] = list(fn.size)
    outputs = kernel.shape[2 if transposed else 3]
    grouped = {"groups": groups} if groups > 1 else {}
    return Entry(record | grouped, {"kernel": kernel, "bias": _bias(op, outputs)})


def _bias(op: Affine, outputs: int) -> np.ndarray:
    """The bias of every output channel: [outputs]."""
    return np.broadcast_to(_floats(op.bias), [outputs])


def _floats(values: tf.Tensor) -> np.ndarray:
    return np.asarray(values, np.float32)


def _positive(op: Positive, inputs: list[Shape], output: Shape) -> Entry | None:
    fn = op.fn
    if fn is positive.sum_of:
        return Entry({"op": "add"}, {})
    if fn is positive.mean_of:
        return Entry({"op": "add", "divisor": len(inputs)}, {})
    if isinstance(fn, positive.WindowMeans):
        return _window_means(fn, inputs[0])
    if isinstance(fn, positive.WholeMeans):
        return _whole_means(inputs[0], output)
    if isinstance(fn, positive.Interpolation):
        return _along(fn.along, fn.weights, (fn.weights > 0.0).astype(np.float32))
    if isinstance(fn, positive.ZerosAround) and len(output) == 3 and fn.paddings[3] == (0, 0):
        padding = [list(pair) for pair in fn.paddings[1:3]]
        return Entry({"op": "zero_padding", "padding": padding}, {})
    return _moved(op, inputs, output)


def _window_means(fn: positive.WindowMeans, source: Shape) -> Entry | None:
    if len(source) > 3:
        return None
    row = [1] * (3 - len(source))  # sequences are images of one row
    windows = {"size": [*row, *fn.size], "strides": [*row, *fn.strides]}
    return Entry({"op": "average_pooling", **windows, "padding": fn.padding}, {})


def _whole_means(source: Shape, output: Shape) -> Entry | None:
    """The record of one window over the whole image."""
    if len(source) > 3:
        return None
    size = [1] * (3 - len(source)) + list(source[:-1])
    whole = {"size": size, "strides": size, "padding": "valid", "shape": list(output)}
    return Entry({"op": "average_pooling", **whole}, {})


def _moved(op: Positive, inputs: list[Shape], output: Shape) -> Entry | None:
    """The entry of sums of one value of each input at most, read off the map itself."""
    if max(map(math.prod, inputs)) >= MOST_PLACES:
        return None
    index = np.stack([_places(op, inputs, k) for k in range(len(inputs))])
    rng = np.random.default_rng(0)
    values = [rng.random((1, *shape), np.float32) for shape in inputs]
    expected = sum(
        np.append(value.ravel(), np.float32(0.0))[places]
        for value, places in zip(values, index, strict=True)
    )
    if not np.allclose(op(*map(tf.constant, values))[0], expected, rtol=1e-6, atol=0.0):
        return None
    is_same = len(inputs) == 1 and np.array_equal(index.ravel(), np.arange(index.size))
    if is_same and index.size == math.prod(inputs[0]):
        return Entry({"op": "reshape", "shape": list(output)}, {})
    return Entry({"op": "sum"}, {"index": index})


def _places(op: Positive, inputs: list[Shape], k: int) -> np.ndarray:
    """The places in input k, from 0, of the values that outputs take; -1 for none: [*output]."""
    values = [np.zeros((1, *shape), np.float32) for shape in inputs]
    values[k] = np.arange(1, values[k].size + 1, dtype=np.float32).reshape(values[k].shape)
    numbers = np.clip(op(*map(tf.constant, values))[0].numpy(), 0, values[k].size)
    return np.round(numbers).astype(np.int32) - 1
