"""Positive maps that files of networks know by name: sums, means, interpolation, zeros around."""

import dataclasses

import numpy as np
import tensorflow as tf

from rt_tf.network.maps.along import Along
from rt_tf.network.ops import Tensor

# Means over windows, by the number of axes of places.
AVERAGES = {1: tf.nn.avg_pool1d, 2: tf.nn.avg_pool2d, 3: tf.nn.avg_pool3d}


def sum_of(*values: Tensor) -> Tensor:
    """The sum of values of one shape, [batch, ...]."""
    return tf.add_n(values)


def mean_of(*values: Tensor) -> Tensor:
    """The mean of values of one shape, [batch, ...]."""
    return tf.add_n(values) / len(values)


@dataclasses.dataclass(frozen=True)
class WindowMeans:
    """Means over the places of windows that are inside: of [batch, ..., channels]."""

    size: tuple[int, ...]
    strides: tuple[int, ...]
    padding: str

    def __call__(self, x: Tensor) -> Tensor:
        return AVERAGES[len(self.size)](x, self.size, self.strides, self.padding.upper())


@dataclasses.dataclass(frozen=True)
class WholeMeans:
    """Means over all places: of [batch, ..., channels]."""

    keepdims: bool

    def __call__(self, x: Tensor) -> Tensor:
        return tf.reduce_mean(x, axis=list(range(1, x.shape.rank - 1)), keepdims=self.keepdims)


@dataclasses.dataclass(frozen=True)
class ZerosAround:
    """Zeros before and after every axis, batch among them: of [batch, ...]."""

    paddings: tuple[tuple[int, int], ...]

    def __call__(self, x: Tensor) -> Tensor:
        return tf.pad(x, self.paddings)


@dataclasses.dataclass(frozen=True, eq=False)
class Interpolation:
    """The product of weights >= 0, [inputs, outputs], with values [batch, ...] along an axis."""

    along: Along
    weights: np.ndarray

    def __call__(self, x: Tensor) -> Tensor:
        return self.along(x, tf.constant(self.weights))

    def read(self, x: Tensor) -> Tensor:
        """The sum of all values that have a weight, [batch, ...]."""
        return self.along(x, tf.constant((self.weights > 0.0).astype(np.float32)))
