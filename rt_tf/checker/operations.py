"""The operations of a network: ReLU, and affine maps with their transposes, in float64.

An affine map has: `apply`, W x or |W| x of values [batch, ...], without the bias; `transpose`,
which gives a part for every input. shape: of its value. terms: the number of products (or values)
that an output sums, the bias not counted; 0 where values are moved alone. transposed_terms: that of
the transpose. bias, magnitude: against one value; the latter bounds all that was summed to the
bias. largest: the largest size of a weight.
"""

import dataclasses

import numpy as np

from rt_tf.checker.windows import Windows

Shape = tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Relu:
    """max(x, 0) elementwise."""

    shape: Shape


@dataclasses.dataclass(frozen=True)
class _Plain:
    """A map without bias whose weights are 0 and, at most, 1."""

    shape: Shape
    terms: int = 0
    transposed_terms: int = 0
    largest: float = 1.0
    bias: float = 0.0
    magnitude: float = 0.0


@dataclasses.dataclass(frozen=True)
class _Weighted:
    """A map with a kernel and a bias."""

    shape: Shape
    terms: int
    transposed_terms: int
    kernel: np.ndarray
    bias: np.ndarray
    magnitude: np.ndarray

    @property
    def largest(self) -> float:
        """The largest size of a weight."""
        return float(np.abs(self.kernel).max(initial=0.0))

    def _kernel(self, absolute: bool) -> np.ndarray:
        return np.abs(self.kernel) if absolute else self.kernel


@dataclasses.dataclass(frozen=True)
class Dense(_Weighted):
    """Products over the last axis. kernel: [in, out]."""

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """W x or |W| x of one input: [batch, ..., in] -> [batch, ..., out]."""
        return values[0] @ self._kernel(absolute)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y: [batch, ..., out] -> [batch, ..., in]."""
        return [y @ self.kernel.T]


@dataclasses.dataclass(frozen=True)
class Conv(_Weighted):
    """Cross-correlation. kernel: [taps, in, out]."""

    windows: Windows

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """W x or |W| x of one input: [batch, height, width, in] -> [batch, rows, columns, out]."""
        kernel = self._kernel(absolute)
        return self.windows.gather(values[0]) @ kernel.reshape(-1, kernel.shape[2])

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y: [batch, rows, columns, out] -> [batch, height, width, in]."""
        used = self.windows.used(y)  # of a unit's pass few windows are
        y = y[:, *used]
        rows = y.reshape(-1, y.shape[-1])
        taps, channels, _ = self.kernel.shape
        parts = ((rows @ self.kernel[k].T).reshape(*y.shape[:3], channels) for k in range(taps))
        return [self.windows.scatter(parts, used, channels, len(y))]


@dataclasses.dataclass(frozen=True)
class Scale(_Weighted):
    """Products with a kernel that broadcasts against the value."""

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """W x or |W| x of one input, elementwise: [batch, ...]."""
        return values[0] * self._kernel(absolute)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y, elementwise: [batch, ...]."""
        return [y * self.kernel]


@dataclasses.dataclass(frozen=True)
class Add(_Plain):
    """The sum of inputs of one shape."""

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """The sum of all inputs, each [batch, ...]."""
        return np.sum(values, axis=0)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose's part for every input, y itself: [batch, ...]."""
        return [y] * self.terms


@dataclasses.dataclass(frozen=True)
class AveragePooling(_Plain):
    """Means over the pixels of each window that are inside the image."""

    windows: Windows = dataclasses.field(kw_only=True)

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """The means of windows: [batch, height, width, channels] -> [batch, *shape]."""
        x = values[0]
        gathered = self.windows.gather(x)
        gathered = gathered.reshape(*gathered.shape[:3], self.windows.taps, x.shape[-1])
        return (gathered.sum(axis=3) / self.windows.counts()).reshape(len(x), *self.shape)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y: [batch, *shape] -> [batch, height, width, channels]."""
        shares = y.reshape(len(y), *self.windows.shape, -1) / self.windows.counts()
        parts = (shares for _ in range(self.windows.taps))
        return [self.windows.scatter(parts, self.windows.every, shares.shape[-1], len(y))]


@dataclasses.dataclass(frozen=True)
class Reshape(_Plain):
    """The values in another shape."""

    source: Shape = dataclasses.field(kw_only=True)

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """The input in another shape: [batch, *source] -> [batch, *shape]."""
        return values[0].reshape(-1, *self.shape)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y: [batch, *shape] -> [batch, *source]."""
        return [y.reshape(-1, *self.source)]


@dataclasses.dataclass(frozen=True)
class ZeroPadding(_Plain):
    """Zeros around images. around: their numbers before and after the rows and the columns."""

    around: tuple[tuple[int, int], tuple[int, int]] = dataclasses.field(kw_only=True)

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """Images with zeros around them: [batch, height, width, channels] -> [batch, *shape]."""
        return np.pad(values[0], [(0, 0), *self.around, (0, 0)])

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y: [batch, *shape] -> [batch, height, width, channels]."""
        (top, bottom), (left, right) = self.around
        return [y[:, top : y.shape[1] - bottom, left : y.shape[2] - right]]


Linear = Dense | Conv | Scale | Add | AveragePooling | Reshape | ZeroPadding
Operation = Relu | Linear
