"""Convolutions in groups of channels, down to every channel by itself.

TensorFlow has a kernel for groups on a CPU, but its gradients exist in oneDNN's builds alone: each
group is convolved by itself.
"""

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import keras
import tensorflow as tf

from rt_tf.network.maps.convolution import same_padding
from rt_tf.network.ops import Tensor, Window

Bilinear: TypeAlias = Callable[[Tensor, Tensor], Tensor]
Pair: TypeAlias = tuple[int, int]


def grouped(convolve: Bilinear, groups: int) -> Bilinear:
    """A convolution that takes the channels and the filters in groups, side by side."""
    return convolve if groups == 1 else Grouped(convolve, groups)


@dataclasses.dataclass(frozen=True)
class Grouped:
    """A convolution of every group of channels by itself."""

    convolve: Bilinear
    groups: int

    def __call__(self, x: Tensor, kernel: Tensor) -> Tensor:
        """The convolution. kernel: [rows, columns, channels of one group, filters of all]."""
        values = tf.split(x, self.groups, axis=-1)
        kernels = tf.split(kernel, self.groups, axis=-1)
        parts = [self.convolve(*part) for part in zip(values, kernels, strict=True)]
        return tf.concat(parts, axis=-1)


@dataclasses.dataclass(frozen=True)
class DepthwiseConvolution:
    """A 2-D convolution of every channel by itself."""

    strides: Pair
    padding: str
    dilations: Pair

    def __call__(self, x: Tensor, kernel: Tensor) -> Tensor:
        """The convolution. kernel: [rows, columns, channels, filters of each channel]."""
        if max(self.strides) == 1 or max(self.dilations) == 1:
            return _depthwise(x, kernel, self.strides, self.padding, self.dilations)
        # TensorFlow cannot do both at once; Keras's way around it forgets the shape.
        padded = tf.pad(x, [(0, 0), *self._around(x.shape[1:], kernel.shape), (0, 0)])
        dense = _depthwise(padded, kernel, (1, 1), "valid", self.dilations)
        return dense[:, :: self.strides[0], :: self.strides[1]]

    def window(self, image: tuple[int, ...], kernel: tuple[int, ...]) -> Window:
        """The convolution as it acts on windows. image: [height, width, channels]."""
        (top, _), (left, _) = self._around(image, kernel)
        valid = dataclasses.replace(self, padding="valid")
        return Window(valid, (kernel[0], kernel[1]), self.strides, self.dilations, (top, left))

    def _around(self, image: tuple[int, ...], kernel: tuple[int, ...]) -> list[Pair]:
        """The zeros before and after each of the two axes."""
        if self.padding == "valid":
            return [(0, 0), (0, 0)]
        axes = zip(image[:2], kernel[:2], self.strides, self.dilations, strict=True)
        return [same_padding(*axis) for axis in axes]


def _depthwise(x: Tensor, kernel: Tensor, strides: Pair, padding: str, dilations: Pair) -> Tensor:
    return keras.ops.depthwise_conv(x, kernel, strides, padding, "channels_last", dilations)
