"""The operations of a network: ReLU, and products with a kernel."""

import dataclasses

import numpy as np

from rt_tf.checker.maps import Map, Shape, Weighted
from rt_tf.checker.windows import Windows


@dataclasses.dataclass(frozen=True)
class Relu:
    """max(x, slope x) elementwise: ReLU has the slope 0, leaky ones a slope below 1."""

    shape: Shape
    slope: float = 0.0

    def apply(self, x: np.ndarray) -> np.ndarray:
        """The function, elementwise."""
        return np.maximum(x, self.slope * x)


@dataclasses.dataclass(frozen=True)
class Dense(Weighted):
    """Products over the last axis. kernel: [in, out]."""

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """W x or |W| x of one input: [batch, ..., in] -> [batch, ..., out]."""
        return values[0] @ self.kernel_or_sizes(absolute)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y: [batch, ..., out] -> [batch, ..., in]."""
        return [y @ self.kernel.T]


@dataclasses.dataclass(frozen=True)
class Scale(Weighted):
    """Products with a kernel that broadcasts against the value."""

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """W x or |W| x of one input, elementwise: [batch, ...]."""
        return values[0] * self.kernel_or_sizes(absolute)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y, elementwise: [batch, ...]."""
        return [y * self.kernel]


@dataclasses.dataclass(frozen=True)
class Conv(Weighted):
    """Cross-correlation. kernel: [taps, in, out]. source: the shape of its input."""

    windows: Windows
    source: Shape

    @property
    def room(self) -> int:
        return max(super().room, self.windows.padded * self.source[-1])

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """W x or |W| x of one input: [batch, *source] -> [batch, *shape]."""
        return correlated(self.windows, values[0], self.kernel_or_sizes(absolute), self.shape)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y: [batch, *shape] -> [batch, *source]."""
        return [spread(self.windows, y, self.kernel, self.source)]


@dataclasses.dataclass(frozen=True)
class TransposedConv(Weighted):
    """The transpose of a cross-correlation of values of its own shape.

    kernel: [taps, out, in]. source: the shape of its input.
    """

    windows: Windows
    source: Shape

    @property
    def room(self) -> int:
        return max(super().room, self.windows.padded * self.shape[-1])

    def apply(self, values: list[np.ndarray], absolute: bool = False) -> np.ndarray:
        """W x or |W| x of one input: [batch, *source] -> [batch, *shape]."""
        return spread(self.windows, values[0], self.kernel_or_sizes(absolute), self.shape)

    def transpose(self, y: np.ndarray) -> list[np.ndarray]:
        """The transpose times y: [batch, *shape] -> [batch, *source]."""
        return [correlated(self.windows, y, self.kernel, self.source)]


def correlated(windows: Windows, x: np.ndarray, kernel: np.ndarray, shape: Shape) -> np.ndarray:
    """Products of windows with a kernel [taps, in, out]: [batch, ...] -> [batch, *shape]."""
    gathered = windows.gather(windows.images(x))
    return (gathered @ kernel.reshape(-1, kernel.shape[2])).reshape(len(x), *shape)


def spread(windows: Windows, y: np.ndarray, kernel: np.ndarray, shape: Shape) -> np.ndarray:
    """The transpose of `correlated`: [batch, ...] -> [batch, *shape]."""
    taps, channels, filters = kernel.shape
    y = y.reshape(len(y), *windows.shape, filters)
    used = windows.used(y)  # of a unit's pass few windows are
    some = y[:, *used]
    rows = some.reshape(-1, filters)
    parts = ((rows @ kernel[k].T).reshape(*some.shape[:3], channels) for k in range(taps))
    return windows.scatter(parts, used, channels, len(y)).reshape(len(y), *shape)


Operation = Relu | Map
