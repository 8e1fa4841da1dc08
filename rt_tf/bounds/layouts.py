"""Layouts of the rows of a backward pass, and of the values of nodes beside them.

A row is a linear function of one node's value for one example. With `Whole` rows, `[batch, rows]`,
coefficients cover whole values; with `Windows` rows are channels of pixels, the pixels of all
examples in one list, `[places, rows]`, and coefficients cover receptive fields only. An axis may be
1 where nothing differs along it. Values are arranged once for all rows (`arrange`) and gathered for
some of them (`gather_rows`), which lets a pass run over rows in chunks.
"""

import dataclasses
import math
from collections.abc import Callable
from typing import Protocol

import numpy as np
import tensorflow as tf

from rt_tf.bounds.receptive_fields import Extent, Shapes, offsets, reads
from rt_tf.network.graph import Node
from rt_tf.network.ops import Affine, Bent, Op, Tensor
from rt_tf.threats.region import Region

Linear = Callable[..., Tensor]


class Layout(Protocol):
    """The contract of layouts. Coefficients of node i are [batch or places or 1, rows, ...]."""

    def arrange(self, i: int, values: Tensor) -> Tensor:
        """Values [batch, ...] of node i as `gather_rows` reads them."""

    def gather_rows(self, i: int, arranged: Tensor) -> Tensor:
        """Arranged values by row, which broadcast against the coefficients of node i.

        [batch, 1, ...], or [places, 1, height, width, channels] of receptive fields.
        """

    def by_row(self, values: Tensor) -> Tensor:
        """Numbers of examples, [batch], as they broadcast against rows: [batch or places, 1]."""

    def inside(self, i: int, coefficients: Tensor) -> Tensor:
        """Coefficients of node i with zeros for places outside the image.

        [batch or places or 1, rows, ...] before and after.
        """

    def alike(self, i: int, k: int) -> bool:
        """Whether the values of two nodes of one shape are arranged in the same way."""

    def widened(self, i: int, k: int, coefficients: Tensor) -> Tensor:
        """Coefficients of node i as ones of a node k of the same shape, which it reads.

        [batch or places or 1, rows, ...] before and after.
        """

    def transposes(self, i: int, node: Node, coefficients: Tensor) -> list[Tensor]:
        """Coefficients of each input of a linear node i from those of the node.

        [batch or places or 1, rows, ...], with the axes of the node's value or of an input's.
        """

    def arrange_region(self, region: Region) -> Region:
        """A region as `minimum` reads it."""

    def minimum(self, arranged: Region, coefficients: Tensor) -> Tensor:
        """The support function by row, of an arranged region: [batch or places, rows]."""


@dataclasses.dataclass(frozen=True)
class Whole:
    """Coefficients of whole values: [batch, rows, ...]."""

    shapes: Shapes

    def arrange(self, i: int, values: Tensor) -> Tensor:
        return values[:, tf.newaxis]

    def gather_rows(self, i: int, arranged: Tensor) -> Tensor:
        return arranged

    def by_row(self, values: Tensor) -> Tensor:
        return values[:, tf.newaxis]

    def inside(self, i: int, coefficients: Tensor) -> Tensor:
        return coefficients

    def alike(self, i: int, k: int) -> bool:
        return True

    def widened(self, i: int, k: int, coefficients: Tensor) -> Tensor:
        return coefficients

    def transposes(self, i: int, node: Node, coefficients: Tensor) -> list[Tensor]:
        return _transposes(_linear(node.op), [self.shapes[k] for k in node.inputs], coefficients)

    def arrange_region(self, region: Region) -> Region:
        return region

    def minimum(self, arranged: Region, coefficients: Tensor) -> Tensor:
        return arranged.minimum(coefficients)


@dataclasses.dataclass(frozen=True)
class Windows:
    """Coefficients of receptive fields: [places or 1, rows, height, width, channels].

    start: the node whose pixels the rows are of. places: [places], the number of each row's
    pixel among the pixels of all examples.
    """

    shapes: Shapes
    extents: dict[int, Extent]
    start: int
    places: Tensor = dataclasses.field(default_factory=lambda: tf.zeros([0], tf.int64))

    def at(self, places: Tensor) -> "Windows":
        """These windows at other places, [places]."""
        return dataclasses.replace(self, places=places)

    @property
    def pixels(self) -> int:
        """The number of places of each example."""
        return math.prod(self.shapes[self.start][:2])

    def arrange(self, i: int, values: Tensor) -> Tensor:
        extent = self.extents[i]
        rows, columns = self.shapes[self.start][:2]
        values = _framed(values, extent, (rows, columns))
        down, across = (
            np.arange(count)[:, np.newaxis] * extent.stride[k] + np.arange(extent.size[k])
            for k, count in enumerate((rows, columns))
        )
        taps = down[:, np.newaxis, :, np.newaxis] * values.shape[2] + across[:, np.newaxis, :]
        pixels = tf.reshape(values, [-1, math.prod(values.shape[1:3]), values.shape[3]])
        windows = tf.gather(pixels, taps.ravel(), axis=1)
        return tf.reshape(windows, [-1, math.prod(extent.size) * values.shape[3]])

    def gather_rows(self, i: int, arranged: Tensor) -> Tensor:
        channels = arranged.shape[-1] // math.prod(self.extents[i].size)
        picked = tf.gather(arranged, self.places)
        return tf.reshape(picked, [-1, 1, *self.extents[i].size, channels])

    def by_row(self, values: Tensor) -> Tensor:
        return tf.gather(values, self.places // self.pixels)[:, tf.newaxis]

    def inside(self, i: int, coefficients: Tensor) -> Tensor:
        if not self.extents[i].sticks_out(self.shapes[self.start], self.shapes[i]):
            return coefficients
        ones = tf.ones([1, *self.shapes[i][:2], 1], coefficients.dtype)
        mask = tf.gather(self.arrange(i, ones), self.places % self.pixels)
        return coefficients * tf.reshape(mask, [-1, 1, *self.extents[i].size, 1])

    def alike(self, i: int, k: int) -> bool:
        return self.extents[i] == self.extents[k]

    def widened(self, i: int, k: int, coefficients: Tensor) -> Tensor:
        return _padded(coefficients, self.extents[i], self.extents[k])

    def transposes(self, i: int, node: Node, coefficients: Tensor) -> list[Tensor]:
        read = reads(self.extents[i], node.op)
        shapes = [(*read.size, self.shapes[k][-1]) for k in node.inputs]
        parts = _transposes(_linear_of_windows(node.op), shapes, coefficients)
        return [
            _padded(part, read, self.extents[k]) for k, part in zip(node.inputs, parts, strict=True)
        ]

    def arrange_region(self, region: Region) -> Region:
        return region.by_pixel(lambda values: self.arrange(0, values))

    def minimum(self, arranged: Region, coefficients: Tensor) -> Tensor:
        """A ball of a norm, seen through a window, is the ball of the window's coordinates."""
        windows = arranged.by_pixel(lambda values: tf.squeeze(self.gather_rows(0, values), axis=1))
        eps = tf.cast(windows.eps, windows.x.dtype)
        eps = tf.gather(eps, self.places // self.pixels) if eps.shape.rank == 1 else eps
        return dataclasses.replace(windows, eps=eps).minimum(coefficients)


def _linear(op: Op) -> Linear:
    assert not isinstance(op, Bent)
    return op.linear


def _linear_of_windows(op: Op) -> Linear:
    assert not isinstance(op, Bent)
    assert op.window is not None
    fn = op.window.fn
    return (lambda x: fn(x, op.kernel)) if isinstance(op, Affine) else fn


def _transposes(linear: Linear, shapes: list, coefficients: Tensor) -> list[Tensor]:
    """The transpose of a linear map, by differentiating it. coefficients: [b, s, ...].

    Inside a tf.function only the shape of the forward map remains in the graph.
    """
    leading = tf.shape(coefficients)[:2]
    folded = tf.reshape(coefficients, [-1, *coefficients.shape[2:]])  # [b * s, ...]
    zeros = [tf.zeros([tf.shape(folded)[0], *shape]) for shape in shapes]
    with tf.GradientTape() as tape:
        tape.watch(zeros)
        value = linear(*zeros)
    parts = tape.gradient(value, zeros, output_gradients=folded)
    return [
        tf.ensure_shape(
            tf.reshape(p, tf.concat([leading, shape], axis=0)),
            [*coefficients.shape[:2], *shape],
        )
        for p, shape in zip(parts, shapes, strict=True)
    ]


def _framed(values: Tensor, extent: Extent, start: tuple[int, int]) -> Tensor:
    """Images padded, or cropped, to the span of the windows: [batch, height, width, channels]."""
    paddings, slices = [[0, 0]], [slice(None)]
    for axis in range(2):
        first, length = extent.origin[axis], values.shape[axis + 1]
        last = first + (start[axis] - 1) * extent.stride[axis] + extent.size[axis]
        slices.append(slice(max(first, 0), min(last, length)))
        paddings.append([max(-first, 0), max(last - length, 0)])
    return tf.pad(values[tuple(slices)], [*paddings, [0, 0]])


def _padded(coefficients: Tensor, inner: Extent, outer: Extent) -> Tensor:
    if inner == outer:
        return coefficients
    return tf.pad(coefficients, [[0, 0], [0, 0], *offsets(inner, outer), [0, 0]])
