"""Operations from the records of a graph; MalformedError names a record that does not fit."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from rt_tf.checker import moving, operations
from rt_tf.checker.malformed import choice, field, only, require
from rt_tf.checker.maps import Shape
from rt_tf.checker.node import NodeReader, Reader
from rt_tf.checker.operations import Operation
from rt_tf.checker.windows import flat

SCALE_TERMS = 8  # the constants of a scale were computed in a few float32 roundings
SEVERAL = ("add", "sum")  # operations of more inputs than one


def operation(record: dict[str, Any], i: int, shapes: list[Shape], reader: Reader) -> Operation:
    """The operation of node i. shapes: of its inputs."""
    where = f"{reader.where}: node {i}"
    name = choice(record, "op", OPERATIONS, where)
    build, attributes = OPERATIONS[name]
    only(record, ("op", "inputs", *attributes), where)
    several = name in SEVERAL
    require(several or len(shapes) == 1, where, f"one input of '{name}'", len(shapes))
    return build(NodeReader(record, i, shapes, reader, where))


def _dense(node: NodeReader) -> Operation:
    kernel = node.weights("kernel", 2)
    inputs, outputs = kernel.shape
    require(node.shape[-1:] == (inputs,), node.where, f"{inputs} values to multiply", node.shape)
    bias = node.bias(outputs)
    shape = (*node.shape[:-1], outputs)
    return operations.Dense(shape, inputs, outputs, kernel, bias, np.abs(bias))


def _conv(node: NodeReader) -> Operation:
    kernel = node.weights("kernel", 4)
    rows, columns, inputs, outputs = kernel.shape
    taps, groups = rows * columns, node.number("groups", 1, 1)
    images, channels = node.places(), node.shape[-1]
    fits = channels == inputs * groups and outputs % groups == 0
    require(fits, node.where, f"{groups} groups of {inputs} channels", (channels, outputs))
    node.refuse_large(taps * channels * outputs)
    windows, bias = node.windows(images, channels, (rows, columns)), node.bias(outputs)
    return operations.Conv(
        node.alike(windows.shape, outputs),
        taps * inputs,
        taps * (outputs // groups),
        _apart(kernel.reshape(taps, inputs, outputs), groups),
        bias,
        np.abs(bias),
        windows,
        node.shape,
    )


def _apart(kernel: np.ndarray, groups: int) -> np.ndarray:
    """The kernel of all channels from that of groups, [taps, in / groups, out]: zeros between."""
    taps, inputs, outputs = kernel.shape
    whole = np.zeros((taps, inputs * groups, outputs))
    filters = outputs // groups
    for k in range(groups):
        mine = slice(k * filters, (k + 1) * filters)
        whole[:, k * inputs : (k + 1) * inputs, mine] = kernel[:, :, mine]
    return whole


def _transposed_conv(node: NodeReader) -> Operation:
    kernel = node.weights("kernel", 4)
    rows, columns, outputs, inputs = kernel.shape
    images, taps = node.numbers("size", 2, 1), rows * columns
    windows = node.windows(images, outputs, (rows, columns))
    received = (*node.places(), node.shape[-1])
    fits = received == (*windows.shape, inputs)
    require(fits, node.where, f"images of shape {(*windows.shape, inputs)}", received)
    bias = node.bias(outputs)
    by_output = math.prod(-(-a.taps * math.gcd(a.stride, a.dilation) // a.stride) for a in windows)
    return operations.TransposedConv(
        node.alike((images[0], images[1]), outputs),
        by_output * inputs,
        taps * outputs,
        kernel.reshape(taps, outputs, inputs),
        bias,
        np.abs(bias),
        windows,
        node.shape,
    )


def _scale(node: NodeReader) -> Operation:
    kernel, bias, magnitude = (node.broadcast(n) for n in ("kernel", "bias", "magnitude"))
    enough = bool((magnitude >= np.abs(bias)).all())
    require(enough, node.where, "'magnitude' to be no less than the bias's size", "less")
    return operations.Scale(node.shape, SCALE_TERMS, 1, kernel, bias, magnitude)


def _relu(node: NodeReader) -> Operation:
    slope = field(node.record, "slope", float, node.where) if "slope" in node.record else 0.0
    require(0.0 <= slope <= 1.0, node.where, "'slope' to be from 0 to 1", slope)
    return operations.Relu(node.shape, slope)


def _add(node: NodeReader) -> Operation:
    alike = len(node.shapes) > 1 and len(set(node.shapes)) == 1
    require(alike, node.where, "two inputs or more, of one shape", node.shapes)
    count = len(node.shapes)
    divisor = node.number("divisor", 1, 1)
    require(divisor in (1, count), node.where, f"'divisor' to be 1 or {count}", divisor)
    terms = count if divisor == 1 else count + 1
    return moving.Add(node.shape, terms, 1, inputs=count, divisor=divisor)


def _sum(node: NodeReader) -> Operation:
    index = node.index(node.shapes, least=-1)
    flat_index = index.reshape(len(index), -1)
    summed = int((flat_index >= 0).sum(axis=0).max())
    uses = max(_most_uses(places) for places in flat_index)
    moved = max(summed, uses) <= 1
    return moving.Sum(
        index.shape[1:],
        0 if moved else max(1, summed),
        0 if moved else max(1, uses),
        index=flat_index,
        sources=node.shapes,
    )


def _difference(node: NodeReader) -> Operation:
    index = node.index([node.shape] * 2, least=0)
    flat_index = index.reshape(2, -1)
    uses = sum(_most_uses(places) for places in flat_index)
    return moving.Difference(index.shape[1:], 2, uses, index=flat_index, source=node.shape)


def _most_uses(places: np.ndarray) -> int:
    """The largest number of outputs that take one value. places: [outputs]."""
    return int(np.bincount(places[places >= 0], minlength=1).max())


def _along(node: NodeReader) -> Operation:
    kernel, sizes = node.weights("kernel", 2), node.weights("sizes", 2)
    inputs, outputs = kernel.shape
    axis = node.number("axis", 0, 0)
    fits = axis < len(node.shape) and node.shape[axis] == inputs
    require(fits, node.where, f"{inputs} values along axis {axis}", node.shape)
    enough = sizes.shape == kernel.shape and bool((sizes >= np.abs(kernel)).all())
    require(enough, node.where, "'sizes' to be no less than the weights' sizes", "less")
    shape = (*node.shape[:axis], outputs, *node.shape[axis + 1 :])
    node.refuse_large(flat(shape))
    reads = sizes > 0.0
    return moving.Along(
        shape,
        int(reads.sum(axis=0).max()) + 2 * inputs + 4,  # the weights err by units of a place
        int(reads.sum(axis=1).max()),
        axis=axis,
        kernel=kernel,
        sizes=sizes,
    )


def _average_pooling(node: NodeReader) -> Operation:
    channels = node.shape[-1]
    windows = node.windows(node.places(), channels, node.numbers("size", 2, 1), dilated=False)
    shape = node.alike(windows.shape, channels)
    if "shape" in node.record:
        sizes = field(node.record, "shape", list, node.where)
        found = node.numbers("shape", len(sizes), 1)
        require(flat(found) == flat(shape), node.where, f"{flat(shape)} values", found)
        shape = found
    taps = windows.taps
    return moving.AveragePooling(shape, taps, taps, windows=windows, source=node.shape)


def _reshape(node: NodeReader) -> Operation:
    return moving.Reshape(node.sizes(), source=node.shape)


def _zero_padding(node: NodeReader) -> Operation:
    require(len(node.shape) == 3, node.where, "images as input", node.shape)
    pairs = field(node.record, "padding", list, node.where)
    good = len(pairs) == 2 and all(
        isinstance(pair, list) and len(pair) == 2 and all(type(n) is int and n >= 0 for n in pair)
        for pair in pairs
    )
    require(good, node.where, "'padding' to be two pairs of whole numbers", pairs)
    around = ((pairs[0][0], pairs[0][1]), (pairs[1][0], pairs[1][1]))
    height, width, channels = node.shape
    shape = (height + sum(around[0]), width + sum(around[1]), channels)
    node.refuse_large(flat(shape))
    return moving.ZeroPadding(shape, around=around)


OPERATIONS: dict[str, tuple[Callable[[NodeReader], Operation], tuple[str, ...]]] = {
    "dense": (_dense, ()),
    "conv": (_conv, ("strides", "padding", "dilations", "groups")),
    "transposed_conv": (_transposed_conv, ("strides", "padding", "dilations", "size")),
    "along": (_along, ("axis",)),
    "sum": (_sum, ()),
    "difference": (_difference, ()),
    "scale": (_scale, ()),
    "relu": (_relu, ("slope",)),
    "add": (_add, ("divisor",)),
    "average_pooling": (_average_pooling, ("size", "strides", "padding", "shape")),
    "flatten": (_reshape, ("shape",)),
    "reshape": (_reshape, ("shape",)),
    "zero_padding": (_zero_padding, ("padding",)),
}
