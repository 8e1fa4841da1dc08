"""Transposed convolutions as maps of their own, to outputs of a given size."""

import dataclasses
import math
from collections.abc import Sequence

from rt_tf.network.maps.convolution import Convolution
from rt_tf.network.maps.volumes import VolumeConvolution
from rt_tf.network.ops import Tensor


@dataclasses.dataclass(frozen=True)
class TransposedConvolution:
    """The transpose of a 2-D convolution, whose inputs have so many rows and columns."""

    convolution: Convolution
    size: tuple[int, ...]

    def __call__(self, x: Tensor, kernel: Tensor) -> Tensor:
        """Images [batch, *size, filters]. kernel: [rows, columns, filters, channels of x]."""
        return self.convolution.transpose(x, kernel, self.size[0], self.size[1])


@dataclasses.dataclass(frozen=True)
class TransposedVolumeConvolution:
    """The transpose of a 3-D convolution, whose inputs are of the given size."""

    convolution: VolumeConvolution
    size: tuple[int, ...]

    def __call__(self, x: Tensor, kernel: Tensor) -> Tensor:
        """Volumes [batch, *size, filters]. kernel: [depth, rows, columns, filters, channels]."""
        return self.convolution.transpose(x, kernel, self.size)


def transposed_length(
    size: int, taps: int, stride: int, padding: str, more: int | None, dilation: int
) -> int:
    """The length of an axis behind a transposed convolution, as Keras has it with TensorFlow.

    size: the length before it. more: the layer's `output_padding` along the axis.
    """
    reach = (taps - 1) * dilation + 1
    if padding == "valid":
        return (size - 1) * stride + (max(reach, stride) if more is None else reach + more)
    return size * stride if more is None else (size - 1) * stride + reach % 2 + more


def taps_of_one_output(
    taps: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> int:
    """The most taps by which a transposed convolution's outputs read its inputs, over all axes."""
    axes = zip(taps, strides, dilations, strict=True)
    return math.prod(-(-count * math.gcd(step, apart) // step) for count, step, apart in axes)
