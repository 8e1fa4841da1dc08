"""Receptive fields: the window of every earlier image that one pixel of a node depends on."""

import math
from collections.abc import Set
from typing import NamedTuple

from rt_tf.network.graph import Graph
from rt_tf.network.ops import Bent, Op, Window

# Gathering windows costs a pass over them: they must be smaller than whole images by this factor.
WORTH = 0.6

Shapes = dict[int, tuple[int, ...]]


class Extent(NamedTuple):
    """The windows of a node: that of start pixel p begins at `origin + p * stride`.

    Pairs are (rows, columns). Windows may stick out of the image, where everything counts as 0.
    """

    size: tuple[int, int]
    stride: tuple[int, int]
    origin: tuple[int, int]

    def sticks_out(self, start: tuple[int, ...], image: tuple[int, ...]) -> bool:
        """Whether any window leaves the image. start, image: shapes [height, width, channels]."""
        return any(
            origin < 0 or origin + (pixels - 1) * stride + size > length
            for size, stride, origin, pixels, length in zip(
                *self, start[:2], image[:2], strict=True
            )
        )


def extents(
    graph: Graph, start: int, shapes: Shapes, closed: Set[int] = frozenset()
) -> dict[int, Extent] | None:
    """The extent of every node that `start` depends on, itself included, by node number.

    None where there are no windows (dense layers, flattening) or none that are worth their
    handling. closed: nodes beyond which nothing is asked for.
    """
    fields = {start: Extent((1, 1), (1, 1), (0, 0))}
    for i, node in reversed(list(graph.numbered())):
        if i not in fields or i in closed:
            continue
        window = _window(node.op)
        if window is None or len(shapes[i]) != 3:
            return None
        reads = _reads(fields[i], window)
        for k in node.inputs:
            if k in fields and fields[k].stride != reads.stride:
                return None
            fields[k] = _union(fields[k], reads) if k in fields else reads
    return fields if 0 in fields and _worth(fields, shapes) else None


def offsets(inner: Extent, outer: Extent) -> list[list[int]]:
    """The padding, before and after each axis, from windows of `inner` to those of `outer`."""
    pairs = []
    for a, b, p, q in zip(inner.origin, outer.origin, inner.size, outer.size, strict=True):
        pairs.append([a - b, q - p - (a - b)])
    return pairs


def _window(op: Op) -> Window | None:
    return Window(op) if isinstance(op, Bent) else op.window


def _reads(extent: Extent, window: Window) -> Extent:
    size, stride, origin = [], [], []
    for axis in range(2):
        step, taps = window.strides[axis], (window.size[axis] - 1) * window.dilations[axis]
        size.append((extent.size[axis] - 1) * step + taps + 1)
        stride.append(extent.stride[axis] * step)
        origin.append(extent.origin[axis] * step - window.before[axis])
    return Extent((size[0], size[1]), (stride[0], stride[1]), (origin[0], origin[1]))


def reads(extent: Extent, op: Op) -> Extent:
    """The extent of the inputs of an operation whose output has this extent."""
    window = _window(op)
    assert window is not None
    return _reads(extent, window)


def _union(a: Extent, b: Extent) -> Extent:
    first = [min(pair) for pair in zip(a.origin, b.origin, strict=True)]
    last = [
        max(p + m, q + n) for p, m, q, n in zip(a.origin, a.size, b.origin, b.size, strict=True)
    ]
    return Extent((last[0] - first[0], last[1] - first[1]), a.stride, (first[0], first[1]))


def _worth(fields: dict[int, Extent], shapes: Shapes) -> bool:
    windows = sum(math.prod(extent.size) * shapes[i][-1] for i, extent in fields.items())
    return windows < WORTH * sum(math.prod(shapes[i]) for i in fields)
