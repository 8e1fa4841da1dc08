"""Operations from the records of a graph; MalformedError names a record that does not fit."""

from collections.abc import Callable
from typing import Any

import numpy as np

from rt_tf.checker import archive, operations
from rt_tf.checker.malformed import choice, field, only, require
from rt_tf.checker.operations import Operation, Shape
from rt_tf.checker.windows import Windows, axis, flat

PADDINGS = ("same", "valid")
MOST_VALUES = 2**26  # of an operation, with its padding and windows: half a gibibyte in float64
SCALE_TERMS = 8  # the constants of a scale were computed in a few float32 roundings


class Reader:
    """The weights of a file, and which of them were read."""

    def __init__(self, weights: archive.Arrays, where: str) -> None:
        self.weights = weights
        self.where = where
        self.read: set[str] = set()

    def take(self, i: int, name: str) -> np.ndarray:
        """An array of node i, of any shape, in float64; MalformedError if there is none."""
        key = f"{i}.{name}"
        require(key in self.weights, self.where, f"an array '{key}'", sorted(self.weights))
        self.read.add(key)
        values = archive.of_type(self.weights[key], np.float32, f"{self.where}: '{key}'")
        return values.astype(np.float64)


def operation(record: dict[str, Any], i: int, shapes: list[Shape], reader: Reader) -> Operation:
    """The operation of node i. shapes: of its inputs."""
    where = f"{reader.where}: node {i}"
    name = choice(record, "op", OPERATIONS, where)
    build, attributes = OPERATIONS[name]
    only(record, ("op", "inputs", *attributes), where)
    several = name == "add"
    require(several or len(shapes) == 1, where, f"one input of '{name}'", len(shapes))
    return build(_Node(record, i, shapes, reader, where))


class _Node:
    """The parts that an operation is built from."""

    def __init__(
        self, record: dict[str, Any], i: int, shapes: list[Shape], reader: Reader, where: str
    ) -> None:
        self.record = record
        self.shapes = shapes
        self.shape = shapes[0]
        self.where = where
        self.i, self.reader = i, reader

    def weights(self, name: str, rank: int) -> np.ndarray:
        values = self.reader.take(self.i, name)
        require(values.ndim == rank, self.where, f"'{name}' of {rank} axes", values.shape)
        require(values.size > 0, self.where, f"'{name}' of positive sizes", values.shape)
        return values

    def broadcast(self, name: str) -> np.ndarray:
        """Constants that broadcast against the value, and do not widen it."""
        values = self.reader.take(self.i, name)
        try:
            fits = np.broadcast_shapes(values.shape, self.shape) == self.shape
        except ValueError:
            fits = False
        require(fits, self.where, f"'{name}' to broadcast to {self.shape}", values.shape)
        return np.broadcast_to(values, self.shape)

    def bias(self, outputs: int) -> np.ndarray:
        bias = self.weights("bias", 1)
        require(bias.shape == (outputs,), self.where, f"a bias of {outputs}", bias.shape)
        return bias

    def numbers(self, name: str, count: int, least: int) -> tuple[int, ...]:
        values = field(self.record, name, list, self.where)
        good = len(values) == count and all(type(v) is int and v >= least for v in values)
        require(good, self.where, f"'{name}' to be {count} whole numbers >= {least}", values)
        return tuple(values)

    def sizes(self) -> Shape:
        """The attribute `shape`; MalformedError unless it has as many values as the input."""
        values = field(self.record, "shape", list, self.where)
        sizes = self.numbers("shape", len(values), 1)
        require(flat(sizes) == flat(self.shape), self.where, f"{flat(self.shape)} values", sizes)
        return sizes

    def windows(
        self, taps: tuple[int, ...], dilations: tuple[int, ...] = (1, 1)
    ) -> tuple[Windows, int]:
        """The windows over an image, and its channels."""
        require(len(self.shape) == 3, self.where, "images as input", self.shape)
        padding = choice(self.record, "padding", PADDINGS, self.where)
        strides = self.numbers("strides", 2, 1)
        rows, columns = (
            axis(*sizes, padding)
            for sizes in zip(self.shape[:2], taps, strides, dilations, strict=True)
        )
        found = Windows(rows, columns)
        require(min(found.shape) > 0, self.where, "images no smaller than windows", self.shape)
        self.refuse_large(self.shape[2] * max(found.padded, found.gathered))
        return found, self.shape[2]

    def refuse_large(self, values: int) -> None:
        """Raises MalformedError for more values than a check has room for."""
        refuse_large(values, self.where)


def refuse_large(values: int, where: str) -> None:
    """MalformedError for more values than a check has room for."""
    told = values if values < 2**63 else "more than 2^63"
    require(values <= MOST_VALUES, where, f"at most {MOST_VALUES} values at once", told)


def _dense(node: _Node) -> Operation:
    kernel = node.weights("kernel", 2)
    inputs, outputs = kernel.shape
    require(node.shape[-1:] == (inputs,), node.where, f"{inputs} values to multiply", node.shape)
    bias = node.bias(outputs)
    shape = (*node.shape[:-1], outputs)
    return operations.Dense(shape, inputs, outputs, kernel, bias, np.abs(bias))


def _conv(node: _Node) -> Operation:
    kernel = node.weights("kernel", 4)
    rows, columns, inputs, outputs = kernel.shape
    windows, channels = node.windows((rows, columns), node.numbers("dilations", 2, 1))
    require(channels == inputs, node.where, f"images of {inputs} channels", node.shape)
    bias = node.bias(outputs)
    taps = rows * columns
    kernel = kernel.reshape(taps, inputs, outputs)
    return operations.Conv(
        (*windows.shape, outputs),
        taps * inputs,
        taps * outputs,
        kernel,
        bias,
        np.abs(bias),
        windows,
    )


def _scale(node: _Node) -> Operation:
    kernel, bias, magnitude = (node.broadcast(n) for n in ("kernel", "bias", "magnitude"))
    enough = bool((magnitude >= np.abs(bias)).all())
    require(enough, node.where, "'magnitude' to be no less than the bias's size", "less")
    return operations.Scale(node.shape, SCALE_TERMS, 1, kernel, bias, magnitude)


def _add(node: _Node) -> Operation:
    alike = len(node.shapes) > 1 and len(set(node.shapes)) == 1
    require(alike, node.where, "two inputs or more, of one shape", node.shapes)
    return operations.Add(node.shape, len(node.shapes), 1)


def _average_pooling(node: _Node) -> Operation:
    windows, channels = node.windows(node.numbers("size", 2, 1))
    shape: Shape = (*windows.shape, channels)
    if "shape" in node.record:
        sizes = field(node.record, "shape", list, node.where)
        found = node.numbers("shape", len(sizes), 1)
        require(flat(found) == flat(shape), node.where, f"{flat(shape)} values", found)
        shape = found
    return operations.AveragePooling(shape, windows.taps, windows.taps, windows=windows)


def _reshape(node: _Node) -> Operation:
    return operations.Reshape(node.sizes(), source=node.shape)


def _zero_padding(node: _Node) -> Operation:
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
    return operations.ZeroPadding(shape, around=around)


OPERATIONS: dict[str, tuple[Callable[[_Node], Operation], tuple[str, ...]]] = {
    "dense": (_dense, ()),
    "conv": (_conv, ("strides", "padding", "dilations")),
    "scale": (_scale, ()),
    "relu": (lambda node: operations.Relu(node.shape), ()),
    "add": (_add, ()),
    "average_pooling": (_average_pooling, ("size", "strides", "padding", "shape")),
    "flatten": (_reshape, ("shape",)),
    "reshape": (_reshape, ("shape",)),
    "zero_padding": (_zero_padding, ("padding",)),
}
