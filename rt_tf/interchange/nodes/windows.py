"""Windows of ONNX nodes on images: their sizes, strides and padding, by axis.

Series are images of one row, so that one axis and two are alike; volumes have three axes.
"""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from rt_tf.interchange.nodes.call import Call
from rt_tf.interchange.nodes.values import Value, channels_last, check_size, placed
from rt_tf.network.maps.convolution import same_padding

L = keras.layers

Sizes = tuple[int, ...]
Ends = tuple[tuple[int, int], ...]  # before and after each axis


class Axis(NamedTuple):
    """An axis of images under windows.

    size: of the images. window: numbers under it. before, after: the padding. ceiling: whether
    there is a last window that only begins on the image.
    """

    size: int
    window: int
    stride: int
    dilation: int
    before: int
    after: int
    ceiling: bool = False

    @property
    def span(self) -> int:
        """The numbers from a window's first to its last."""
        return (self.window - 1) * self.dilation + 1

    @property
    def outputs(self) -> int:
        """The number of windows."""
        rest = self.size + self.before + self.after - self.span
        if not self.ceiling:
            return rest // self.stride + 1
        count = -(-rest // self.stride) + 1
        begins_outside = (count - 1) * self.stride >= self.size + self.before
        return count - begins_outside

    @property
    def ends(self) -> tuple[int, int]:
        """The numbers that the windows reach over before and after the image."""
        last = (self.outputs - 1) * self.stride + self.span
        return self.before, max(last - self.before - self.size, 0)

    @property
    def is_same(self) -> bool:
        """Whether the padding is TensorFlow's own."""
        own = same_padding(self.size, self.window, self.stride, self.dilation)
        return not self.ceiling and (self.before, self.after) == own


class Windows(NamedTuple):
    """The windows of a node by axis: of rows and columns, or of three axes."""

    axes: tuple[Axis, ...]

    @property
    def is_plain(self) -> bool:
        """Whether there is no padding."""
        return all(axis.ends == (0, 0) for axis in self.axes)

    @property
    def is_same(self) -> bool:
        """Whether the padding is TensorFlow's own."""
        return all(axis.is_same for axis in self.axes)

    def all(self, name: str) -> Sizes:
        """A number of each axis, by its name."""
        return tuple(getattr(axis, name) for axis in self.axes)

    @property
    def ends(self) -> Ends:
        """The numbers that the windows reach over each axis."""
        return tuple(axis.ends for axis in self.axes)


def windows(call: Call, window: Sequence[int]) -> Windows:
    """The windows of a node of a window's sizes over its first operand."""
    sizes = call.value().shape[2:]
    count = len(sizes)
    if not 1 <= count <= 3 or len(window) != count or call.value().shape[0] != 1:
        raise call.refusal(
            "images [1, channels, ...] of one to three axes, and windows of them",
            f"shape {list(call.value().shape)} and windows {list(window)}",
        )
    strides = numbers_of(call, "strides", count, 1)
    dilations = numbers_of(call, "dilations", count, 1)
    pads = numbers_of(call, "pads", 2 * count, 0)
    ceiling = bool(call.settings.get("ceil_mode", 0))
    each = zip(sizes, window, strides, dilations, pads[:count], pads[count:], strict=True)
    axes = [
        _automatic(call, Axis(size, taps, stride, dilation, before, after, ceiling))
        for size, taps, stride, dilation, before, after in each
    ]
    for axis in axes:
        if min(axis.stride, axis.dilation) < 1 or min(axis.before, axis.after) < 0:
            raise call.refusal("strides and dilations from 1 on, and pads from 0 on", str(axis))
        if axis.window < 1 or axis.outputs < 1:
            raise call.refusal("windows that fit into the images", f"{axis.window} of {axis.size}")
    check_size([axis.size + axis.before + axis.after for axis in axes])
    rows = [Axis(1, 1, 1, 1, 0, 0)] if count == 1 else []
    return Windows((*rows, *axes))


def _automatic(call: Call, axis: Axis) -> Axis:
    """The axis with the padding that the node's auto_pad asks for, if it does."""
    automatic = call.settings.get("auto_pad", "NOTSET")
    if automatic == "NOTSET":
        return axis
    if automatic == "VALID":
        return axis._replace(before=0, after=0)
    less, more = same_padding(axis.size, axis.window, axis.stride, axis.dilation)
    if automatic == "SAME_LOWER":
        less, more = more, less
    return axis._replace(before=less, after=more)


def images(value: Value) -> keras.KerasTensor:
    """The value as images, channels last: [batch, height, width, channels], or of volumes."""
    order = channels_last(value.shape)
    if len(order) == 2:
        positions = value.positions[:, :, np.newaxis]
        return images(Value(value.tensor, positions))
    return value.arranged(order)


def of_images(
    tensor: keras.KerasTensor, axes: int, maker: keras.layers.Layer | None = None
) -> Value:
    """A Keras tensor of images, channels last, as an ONNX tensor of as many axes of space."""
    *sizes, channels = tensor.shape[1:]
    shape = (1, channels, *sizes)
    check_size(shape)
    value = placed(tensor, shape, channels_last(shape), maker)
    if axes == 1:
        return value._replace(positions=value.positions[:, :, 0])
    return value


def zero_padded(tensor: keras.KerasTensor, ends: Ends) -> keras.KerasTensor:
    """Images with zeros before and after each axis."""
    if all(end == (0, 0) for end in ends):
        return tensor
    layer = {2: L.ZeroPadding2D, 3: L.ZeroPadding3D}[len(ends)]
    return layer(ends)(tensor)


def numbers_of(call: Call, name: str, count: int, usual: int) -> list[int]:
    """The numbers of a setting, so many; UserError for another count."""
    values = list(call.settings.get(name, [usual] * count))
    if len(values) != count:
        raise call.refusal(f"{name} of {count} numbers, as for its images", f"{name}={values}")
    return values
