"""Operations without weights of their own, and matrices along an axis."""

import dataclasses

import numpy as np

from rt_tf.checker.maps import Plain, Shape
from rt_tf.checker.windows import Windows, flat


@dataclasses.dataclass(frozen=True)
class Add(Plain):
    """The sum of inputs of one shape, over `divisor`."""

    inputs: int = dataclasses.field(kw_only=True)
    divisor: int = dataclasses.field(kw_only=True, default=1)

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """The sum, or the mean, of all inputs, each [batch, ...]."""
        return np.sum(values, axis=0) / self.divisor

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose's part for every input, y over the divisor: [batch, ...]."""
        return [y / self.divisor] * self.inputs


@dataclasses.dataclass(frozen=True)
class Sum(Plain):
    """Sums over the inputs of one value of each, or of none.

    index: for every input, the place in it, flattened, of the value that each output takes; -1 for
    none: [inputs, outputs]. sources: the shapes of the inputs.
    """

    index: np.ndarray = dataclasses.field(kw_only=True)
    sources: list[Shape] = dataclasses.field(kw_only=True)

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """The sums: every input [batch, ...] -> [batch, *shape]."""
        total = np.zeros((len(values[0]), self.index.shape[1]))
        for value, places in zip(values, self.index, strict=True):
            taken = np.flatnonzero(places >= 0)
            total[:, taken] += value.reshape(len(value), -1)[:, places[taken]]
        return total.reshape(-1, *self.shape)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y, for every input: [batch, *shape] -> [batch, ...]."""
        rows = y.reshape(len(y), -1)
        pairs = zip(self.index, self.sources, strict=True)
        return [given_back(rows, places, shape).reshape(-1, *shape) for places, shape in pairs]


def given_back(rows: np.ndarray, places: np.ndarray, source: Shape) -> np.ndarray:
    """Sums of what the outputs that take a value have: [batch, outputs] -> [batch, values].

    places: of the values that outputs take; -1 for none.
    """
    part = np.zeros((len(rows), flat(source)))
    for outputs in rounds(places):
        part[:, places[outputs]] += rows[:, outputs]
    return part


@dataclasses.dataclass(frozen=True)
class Difference(Plain):
    """Differences of two values of the input each. index: their places in it, [2, outputs]."""

    index: np.ndarray = dataclasses.field(kw_only=True)
    source: Shape = dataclasses.field(kw_only=True)

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """The first values less the second, or their sum: [batch, *source] -> [batch, *shape]."""
        x = values[0].reshape(len(values[0]), -1)
        first, second = x[:, self.index[0]], x[:, self.index[1]]
        return (first + second if absolute else first - second).reshape(-1, *self.shape)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y: [batch, *shape] -> [batch, *source]."""
        rows = y.reshape(len(y), -1)
        part = given_back(rows, self.index[0], self.source)
        return [(part - given_back(rows, self.index[1], self.source)).reshape(-1, *self.source)]


def rounds(places: np.ndarray) -> list[np.ndarray]:
    """The outputs [outputs] that take a value, in as few groups as take every value once at most.

    places: of the values that they take; -1 for none.
    """
    taken = np.flatnonzero(places >= 0)
    order = taken[np.argsort(places[taken], kind="stable")]
    first = np.flatnonzero(np.diff(places[order], prepend=-1))
    lengths = np.diff(np.append(first, len(order)))
    turn = np.arange(len(order)) - np.repeat(first, lengths)
    return [order[turn == k] for k in range(int(lengths.max(initial=0)))]


@dataclasses.dataclass(frozen=True)
class Along(Plain):
    """The product of a matrix [in, out] with values along an axis, 0 being the first of the value.

    sizes: [in, out], no less than those of the weights: of what is summed on the way to an output.
    """

    axis: int = dataclasses.field(kw_only=True)
    kernel: np.ndarray = dataclasses.field(kw_only=True)
    sizes: np.ndarray = dataclasses.field(kw_only=True)

    @property
    def largest(self) -> float:
        return float(self.sizes.max())

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """W x or |W| x of one input, [batch, ...]."""
        return self._along(values[0], np.abs(self.kernel) if absolute else self.kernel)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y, [batch, ...]."""
        return [self._along(y, self.kernel.T)]

    def summed(self, sizes: list[np.ndarray]) -> np.ndarray:
        """A bound of the sizes of all that is summed, from the input's: [batch, *shape]."""
        return self._along(sizes[0], self.sizes)

    def _along(self, x: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        last = np.moveaxis(x, self.axis + 1, -1) @ matrix
        return np.ascontiguousarray(np.moveaxis(last, -1, self.axis + 1))


@dataclasses.dataclass(frozen=True)
class AveragePooling(Plain):
    """Means over the pixels of each window that are inside the image. source: its input's shape."""

    windows: Windows = dataclasses.field(kw_only=True)
    source: Shape = dataclasses.field(kw_only=True)

    @property
    def room(self) -> int:
        return max(super().room, self.windows.padded * self.source[-1])

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """The means of windows: [batch, *source] -> [batch, *shape]."""
        x = self.windows.images(values[0])
        gathered = self.windows.gather(x)
        gathered = gathered.reshape(*gathered.shape[:3], self.windows.taps, x.shape[-1])
        return (gathered.sum(axis=3) / self.windows.counts()).reshape(len(x), *self.shape)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y: [batch, *shape] -> [batch, *source]."""
        shares = y.reshape(len(y), *self.windows.shape, -1) / self.windows.counts()
        parts = (shares for _ in range(self.windows.taps))
        images = self.windows.scatter(parts, self.windows.every, shares.shape[-1], len(y))
        return [images.reshape(len(y), *self.source)]


@dataclasses.dataclass(frozen=True)
class Reshape(Plain):
    """The values in another shape."""

    source: Shape = dataclasses.field(kw_only=True)

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """The input in another shape: [batch, *source] -> [batch, *shape]."""
        return values[0].reshape(-1, *self.shape)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y: [batch, *shape] -> [batch, *source]."""
        return [y.reshape(-1, *self.source)]


@dataclasses.dataclass(frozen=True)
class ZeroPadding(Plain):
    """Zeros around images. around: their numbers before and after the rows and the columns."""

    around: tuple[tuple[int, int], tuple[int, int]] = dataclasses.field(kw_only=True)

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """Images with zeros around them: [batch, height, width, channels] -> [batch, *shape]."""
        return np.pad(values[0], [(0, 0), *self.around, (0, 0)])

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y: [batch, *shape] -> [batch, height, width, channels]."""
        (top, bottom), (left, right) = self.around
        return [y[:, top : y.shape[1] - bottom, left : y.shape[2] - right]]
