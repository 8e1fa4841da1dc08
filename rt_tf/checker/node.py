"""The parts that an operation is built from: fields of its record, and its weights."""

from typing import Any

import numpy as np

from rt_tf.checker import archive
from rt_tf.checker.malformed import choice, field, require
from rt_tf.checker.maps import Shape
from rt_tf.checker.windows import Windows, axis, flat

PADDINGS = ("same", "valid", "causal")
MOST_VALUES = 2**26  # of an operation, with its padding and windows: half a gibibyte in float64


class Reader:
    """The weights of a file, and which of them were read."""

    def __init__(self, weights: archive.Arrays, where: str) -> None:
        self.weights = weights
        self.where = where
        self.read: set[str] = set()

    def take(self, i: int, name: str, dtype: type = np.float32) -> np.ndarray:
        """An array of node i, of any shape, of a type; MalformedError if there is none."""
        key = f"{i}.{name}"
        require(key in self.weights, self.where, f"an array '{key}'", sorted(self.weights))
        self.read.add(key)
        return archive.of_type(self.weights[key], dtype, f"{self.where}: '{key}'")


class NodeReader:
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
        """Weights of so many axes, in float64, of any shape."""
        values = self.reader.take(self.i, name).astype(np.float64)
        require(values.ndim == rank, self.where, f"'{name}' of {rank} axes", values.shape)
        require(values.size > 0, self.where, f"'{name}' of positive sizes", values.shape)
        return values

    def broadcast(self, name: str) -> np.ndarray:
        """Constants that broadcast against the value and do not widen it, [*shape]."""
        values = self.reader.take(self.i, name).astype(np.float64)
        try:
            fits = np.broadcast_shapes(values.shape, self.shape) == self.shape
        except ValueError:
            fits = False
        require(fits, self.where, f"'{name}' to broadcast to {self.shape}", values.shape)
        return np.broadcast_to(values, self.shape)

    def index(self, shapes: list[Shape], least: int) -> np.ndarray:
        """The places, in values of these shapes, of what outputs take: [shapes, ...].

        least: the least number that stands for a place, or for none.
        """
        index = self.reader.take(self.i, "index", np.int32)
        good = index.ndim > 1 and len(index) == len(shapes) and index.size > 0
        require(good, self.where, f"an index of {len(shapes)} rows", index.shape)
        self.refuse_large(index.size)
        for places, shape in zip(index, shapes, strict=True):
            inside = bool(((places >= least) & (places < flat(shape))).all())
            require(inside, self.where, f"places from {least} to {flat(shape) - 1}", "others")
        return index

    def bias(self, outputs: int) -> np.ndarray:
        """The bias of every output, [outputs]."""
        bias = self.weights("bias", 1)
        require(bias.shape == (outputs,), self.where, f"a bias of {outputs}", bias.shape)
        return bias

    def numbers(self, name: str, count: int, least: int) -> tuple[int, ...]:
        values = field(self.record, name, list, self.where)
        good = len(values) == count and all(type(v) is int and v >= least for v in values)
        require(good, self.where, f"'{name}' to be {count} whole numbers >= {least}", values)
        return tuple(values)

    def number(self, name: str, usual: int, least: int) -> int:
        """A whole number, which may be left out."""
        value = field(self.record, name, int, self.where) if name in self.record else usual
        require(value >= least, self.where, f"'{name}' to be at least {least}", value)
        return value

    def sizes(self) -> Shape:
        """The attribute `shape`; MalformedError unless it has as many values as the input."""
        values = field(self.record, "shape", list, self.where)
        sizes = self.numbers("shape", len(values), 1)
        require(flat(sizes) == flat(self.shape), self.where, f"{flat(self.shape)} values", sizes)
        return sizes

    def places(self) -> tuple[int, ...]:
        """The rows and the columns of images; sequences are images of one row."""
        require(len(self.shape) in (2, 3), self.where, "images as input", self.shape)
        return self.shape[:-1] if len(self.shape) == 3 else (1, self.shape[0])

    def windows(
        self, images: tuple[int, ...], channels: int, taps: tuple[int, ...], dilated: bool = True
    ) -> Windows:
        """The windows over images of so many rows, columns and channels."""
        padding = choice(self.record, "padding", PADDINGS, self.where)
        strides = self.numbers("strides", 2, 1)
        dilations = self.numbers("dilations", 2, 1) if dilated else (1, 1)
        rows, columns = (
            axis(*sizes, padding) for sizes in zip(images, taps, strides, dilations, strict=True)
        )
        found = Windows(rows, columns)
        require(min(found.shape) > 0, self.where, "images no smaller than windows", images)
        self.refuse_large(channels * max(found.padded, found.gathered))
        return found

    def alike(self, places: tuple[int, int], channels: int) -> Shape:
        """The shape of images, or of sequences if the input is one."""
        if len(self.shape) == 3:
            return (*places, channels)
        require(places[0] == 1, self.where, "one row of a sequence", places[0])
        return places[1], channels

    def refuse_large(self, values: int) -> None:
        """Raises MalformedError for more values than a check has room for."""
        refuse_large(values, self.where)


def refuse_large(values: int, where: str) -> None:
    """MalformedError for more values than a check has room for."""
    told = values if values < 2**63 else "more than 2^63"
    require(values <= MOST_VALUES, where, f"at most {MOST_VALUES} values at once", told)
