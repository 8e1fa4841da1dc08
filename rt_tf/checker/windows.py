"""Windows of images as TensorFlow lays them: gathered, and given back."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class Axis(NamedTuple):
    """Windows along an axis of `size` pixels: how many, and the pixels put before and after."""

    size: int
    taps: int
    stride: int
    dilation: int
    windows: int
    before: int
    after: int

    def slice(self, tap: int) -> slice:
        """The pixels that one tap of all windows reads."""
        first = tap * self.dilation
        return slice(first, first + (self.windows - 1) * self.stride + 1, self.stride)


def axis(size: int, taps: int, stride: int, dilation: int, padding: str) -> Axis:
    """`same`: a window for every stride, padded evenly, the odd pixel after; `valid`: inside."""
    reach = (taps - 1) * dilation + 1
    if padding == "valid":
        windows = (size - reach) // stride + 1 if size >= reach else 0
        return Axis(size, taps, stride, dilation, windows, 0, 0)
    windows = -(-size // stride)
    missing = max((windows - 1) * stride + reach - size, 0)
    return Axis(size, taps, stride, dilation, windows, missing // 2, missing - missing // 2)


class Windows(NamedTuple):
    """Windows over the rows and the columns of images [batch, height, width, channels]."""

    rows: Axis
    columns: Axis

    @property
    def taps(self) -> int:
        return self.rows.taps * self.columns.taps

    @property
    def shape(self) -> tuple[int, int]:
        """How many windows there are, down and across."""
        return self.rows.windows, self.columns.windows

    def gather(self, x: np.ndarray) -> np.ndarray:
        """[batch, height, width, c] -> [batch, rows, columns, taps * c]; zeros outside."""
        padded = np.pad(x, [(0, 0), self.rows[-2:], self.columns[-2:], (0, 0)])
        parts = [padded[:, i, j] for i, j in self._places()]
        return np.concatenate(parts, axis=-1)

    def scatter(self, parts: Iterator[np.ndarray], channels: int, batch: int) -> np.ndarray:
        """The transpose: by tap, [batch, rows, columns, c] each, to sums [b, height, width, c]."""
        height, width = (sum((a.size, a.before, a.after)) for a in self)
        padded = np.zeros((batch, height, width, channels))
        for (i, j), part in zip(self._places(), parts, strict=True):
            padded[:, i, j] += part
        top, left = self.rows.before, self.columns.before
        inside = padded[:, top : top + self.rows.size, left : left + self.columns.size]
        return np.ascontiguousarray(inside)

    def counts(self) -> np.ndarray:
        """How many pixels of each window are inside the image: [rows, columns, 1]."""
        ones = np.ones((1, self.rows.size, self.columns.size, 1))
        return self.gather(ones).sum(axis=-1, keepdims=True)[0]

    def _places(self) -> Iterator[tuple[slice, slice]]:
        for tap in range(self.taps):
            i, j = divmod(tap, self.columns.taps)
            yield self.rows.slice(i), self.columns.slice(j)


def flat(shape: tuple[int, ...]) -> int:
    """How many values a shape has."""
    return math.prod(shape)
