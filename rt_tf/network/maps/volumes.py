"""Convolutions of volumes [batch, depth, height, width, channels], and their transposes.

TensorFlow has no dilated ones on a CPU: the kernel is spread out, with zeros between its taps.
"""

import dataclasses
from typing import TypeAlias

import tensorflow as tf

from rt_tf.network.ops import Tensor

Triple: TypeAlias = tuple[int, int, int]


@dataclasses.dataclass(frozen=True)
class VolumeConvolution:
    """A 3-D convolution of volumes [batch, depth, height, width, channels]."""

    strides: Triple
    padding: str
    dilations: Triple

    def __call__(self, x: Tensor, kernel: Tensor) -> Tensor:
        """The convolution of x with a kernel [depth, rows, columns, channels, filters]."""
        strides = [1, *self.strides, 1]
        return tf.nn.conv3d(x, _spread(kernel, self.dilations), strides, self.padding)

    def transpose(self, y: Tensor, kernel: Tensor, size: tuple[int, ...]) -> Tensor:
        """The transpose: from values y at the output to volumes [batch, *size, channels]."""
        shape = tf.stack([tf.shape(y)[0], *size, kernel.shape[3]])
        spread, strides = _spread(kernel, self.dilations), [1, *self.strides, 1]
        volumes = tf.nn.conv3d_transpose(y, spread, shape, strides, self.padding)
        return tf.ensure_shape(volumes, [None, *size, kernel.shape[3]])


def _spread(kernel: Tensor, dilations: Triple) -> Tensor:
    """The kernel with zeros between its taps, so that it needs no dilation."""
    for axis, dilation in enumerate(dilations):
        taps = kernel.shape[axis]
        if dilation == 1 or taps == 1:
            continue
        before, after = kernel.shape[:axis], kernel.shape[axis + 1 :]
        apart = tf.reshape(kernel, [*before, taps, 1, *after])
        paddings = [[0, 0]] * (axis + 1) + [[0, dilation - 1]] + [[0, 0]] * len(after)
        spread = tf.reshape(tf.pad(apart, paddings), [*before, taps * dilation, *after])
        kernel = spread[*(slice(None),) * axis, : (taps - 1) * dilation + 1]
    return kernel
