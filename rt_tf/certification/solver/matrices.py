"""The affine maps of a network as sparse float64 matrices between flattened values."""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
import tensorflow as tf

from rt_tf.network.graph import Graph
from rt_tf.network.ops import Affine, Bent, Op, Positive, Tensor, Window

CHUNK = 2**24  # numbers in the dense images of unit vectors that are computed at once

Shape = tuple[int, ...]
Shapes = dict[int, Shape]


class Linear(NamedTuple):
    """An affine map: sum_k parts[k] @ (input k) + bias; parts: [units, units of input k]."""

    parts: tuple[sp.csr_array, ...]
    bias: np.ndarray


def shapes_of(graph: Graph, input_shape: Shape) -> Shapes:
    """The shape of every node's value, without batch."""
    values = [tf.zeros([1, *input_shape])]
    for node in graph.nodes:
        values.append(node.op(*(values[k] for k in node.inputs)))
    return {i: tuple(value.shape[1:]) for i, value in enumerate(values)}


def entries(graph: Graph, shapes: Shapes) -> int:
    """The number of entries that a network's matrices have at most."""
    total = 0
    for i, node in graph.numbered():
        if not isinstance(node.op, Bent):
            total += math.prod(shapes[i]) * node.op.terms
    return total


def matrices(graph: Graph, shapes: Shapes) -> dict[int, Linear]:
    """The affine maps of a network's nodes, by node."""
    maps = {}
    for i, node in graph.numbered():
        if isinstance(node.op, Bent):
            continue
        inputs = [shapes[k] for k in node.inputs]
        zeros = [tf.zeros([1, *shape]) for shape in inputs]
        bias = node.op(*zeros).numpy().astype(np.float64).ravel()
        maps[i] = Linear(_parts(node.op, inputs, shapes[i]), bias)
    return maps


def _parts(op: Affine | Positive, inputs: list[Shape], output: Shape) -> tuple[sp.csr_array, ...]:
    images = all(len(shape) == 3 for shape in (*inputs, output))
    if op.window is None or not images:
        return tuple(_columns(op.linear, inputs, place) for place in range(len(inputs)))
    return tuple(_by_window(op, op.window, inputs, place, output) for place in range(len(inputs)))


def _columns(linear: Callable[..., Tensor], inputs: list[Shape], place: int) -> sp.csr_array:
    """The matrix of a map in one of its inputs, the others being zero: images of unit vectors."""
    units = math.prod(inputs[place])
    step = max(1, CHUNK // max(map(math.prod, inputs)))
    columns = []
    for start in range(0, units, step):
        count = min(step, units - start)
        arguments = [np.zeros((count, *shape), np.float32) for shape in inputs]
        arguments[place].reshape(count, units)[range(count), range(start, start + count)] = 1.0
        images = linear(*map(tf.constant, arguments)).numpy().reshape(count, -1)
        columns.append(sp.csr_array(images.astype(np.float64)))
    return sp.csr_array(sp.vstack(columns).T)


def _by_window(
    op: Affine | Positive, window: Window, inputs: list[Shape], place: int, output: Shape
) -> sp.csr_array:
    """The matrix of a map in one of its inputs, from the map of a single window.

    One window's map is alike at every place of an image, so that few unit vectors suffice.
    """
    span = [(n - 1) * gap + 1 for n, gap in zip(window.size, window.dilations, strict=True)]
    seen = [(*span, shape[2]) for shape in inputs]
    local = _columns(_of_window(op, window), seen, place).tocoo()
    down, across, channel = np.unravel_index(local.col, seen[place])
    height, width, channels = inputs[place]
    pixels = np.indices(output[:2]).reshape(2, -1, 1)  # of the output
    rows = pixels[0] * window.strides[0] - window.before[0] + down
    columns = pixels[1] * window.strides[1] - window.before[1] + across
    inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    read = (rows * width + columns) * channels + channel
    written = (pixels[0] * output[1] + pixels[1]) * output[2] + local.row
    values = np.broadcast_to(local.data, read.shape)
    shape = math.prod(output), math.prod(inputs[place])
    return sp.csr_array((values[inside], (written[inside], read[inside])), shape=shape)


def _of_window(op: Op, window: Window) -> Callable[..., Tensor]:
    if isinstance(op, Affine):
        return lambda x: window.fn(x, op.kernel)
    return window.fn
