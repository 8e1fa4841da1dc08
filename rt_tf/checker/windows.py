"""Windows of images as TensorFlow lays them: gathered, and given back."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

Some = tuple[slice, slice]  # of the windows: the rows and the columns of them


class Axis(NamedTuple):
    """Windows along an axis of `size` pixels: their number, and the pixels put before and after."""

    size: int
    taps: int
    stride: int
    dilation: int
    windows: int
    before: int
    after: int

    def slice(self, tap: int, some: slice) -> slice:
        """The padded pixels that one tap of some windows reads."""
        first = tap * self.dilation + some.start * self.stride
        last = tap * self.dilation + (some.stop - 1) * self.stride
        return slice(first, last + 1, self.stride)


def axis(size: int, taps: int, stride: int, dilation: int, padding: str) -> Axis:
    """The windows along an axis.

    `same`: one for every stride, padded evenly, the odd pixel after; `causal`: likewise, all
    padding before; `valid`: those inside.
    """
    reach = (taps - 1) * dilation + 1
    if padding != "same":
        before = reach - 1 if padding == "causal" else 0
        windows = (size + before - reach) // stride + 1 if size + before >= reach else 0
        return Axis(size, taps, stride, dilation, windows, before, 0)
    windows = -(-size // stride)
    missing = max((windows - 1) * stride + reach - size, 0)
    return Axis(size, taps, stride, dilation, windows, missing // 2, missing - missing // 2)


class Windows(NamedTuple):
    """Windows over the rows and the columns of images [batch, height, width, channels].

    Sequences [batch, length, channels] are images of one row.
    """

    rows: Axis
    columns: Axis

    def images(self, x: np.ndarray) -> np.ndarray:
        """Images or sequences as images: [batch, height, width, channels]."""
        return x.reshape(len(x), self.rows.size, self.columns.size, -1)

    @property
    def taps(self) -> int:
        """The number of pixels that a window reads, with those outside the image."""
        return self.rows.taps * self.columns.taps

    @property
    def shape(self) -> tuple[int, int]:
        """The number of windows, down and across."""
        return self.rows.windows, self.columns.windows

    @property
    def padded(self) -> int:
        """Pixels of an image with its padding."""
        return math.prod(a.size + a.before + a.after for a in self)

    @property
    def gathered(self) -> int:
        """Pixels of all windows together."""
        return math.prod(self.shape) * self.taps

    def gather(self, x: np.ndarray) -> np.ndarray:
        """[batch, height, width, c] -> [batch, rows, columns, taps * c]; zeros outside."""
        padded = np.pad(x, [(0, 0), self.rows[-2:], self.columns[-2:], (0, 0)])
        parts = [padded[:, i, j] for i, j in self._places(self.every)]
        return np.concatenate(parts, axis=-1)

    @property
    def every(self) -> Some:
        """All windows."""
        return slice(0, self.rows.windows), slice(0, self.columns.windows)

    def used(self, y: np.ndarray) -> Some:
        """The windows beyond which y [batch, rows, columns, c] is 0, one at least."""
        used = np.asarray(np.any(y, axis=(0, 3)))
        return _span(used, across=1), _span(used, across=0)

    def scatter(
        self, parts: Iterator[np.ndarray], some: Some, channels: int, batch: int
    ) -> np.ndarray:
        """The transpose: [batch, height, width, c].

        parts: by tap, of some windows, [batch, rows, columns, c] each.
        """
        height, width = (sum((a.size, a.before, a.after)) for a in self)
        padded = np.zeros((batch, height, width, channels))
        for (i, j), part in zip(self._places(some), parts, strict=True):
            padded[:, i, j] += part
        top, left = self.rows.before, self.columns.before
        inside = padded[:, top : top + self.rows.size, left : left + self.columns.size]
        return np.ascontiguousarray(inside)

    def counts(self) -> np.ndarray:
        """The number of pixels of each window that are inside the image: [rows, columns, 1]."""
        ones = np.ones((1, self.rows.size, self.columns.size, 1))
        return self.gather(ones).sum(axis=-1, keepdims=True)[0]

    def _places(self, some: Some) -> Iterator[Some]:
        for tap in range(self.taps):
            i, j = divmod(tap, self.columns.taps)
            yield self.rows.slice(i, some[0]), self.columns.slice(j, some[1])


def _span(used: np.ndarray, across: int) -> slice:
    """The places, from the first to the last, at which anything is used across an axis."""
    places = np.flatnonzero(np.any(used, axis=across))
    return slice(int(places[0]), int(places[-1]) + 1) if len(places) else slice(0, 1)


def flat(shape: tuple[int, ...]) -> int:
    """The number of values of a shape."""
    return math.prod(shape)
