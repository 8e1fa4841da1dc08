"""ONNX nodes on images as Keras layers."""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from rt_tf.interchange.nodes import Call
from rt_tf.interchange.values import Value, images
from rt_tf.network.convolution import same_padding

Pair = tuple[int, int]


class Padding(NamedTuple):
    """The padding of images: zeros before and after each axis, or TensorFlow's `same`."""

    mode: str  # "valid" or "same"
    zeros: tuple[Pair, Pair] = ((0, 0), (0, 0))

    @property
    def has_zeros(self) -> bool:
        """Whether there are zeros to put around the images first."""
        return self.zeros != ((0, 0), (0, 0))


def convolution(call: Call) -> Value:
    """The value of convolutions of all channels or in groups of them."""
    kernel = call.constant(1).transpose(2, 3, 1, 0) if call.constant(1).ndim == 4 else None
    if kernel is None:
        raise call.refusal("a convolution of images", f"a kernel {list(call.constant(1).shape)}")
    bias = call.constant(2) if call.has(2) else np.zeros(kernel.shape[-1], np.float32)
    size, strides, dilations = kernel.shape[:2], _pair(call, "strides"), _pair(call, "dilations")
    padding = _padding(call, size, strides, dilations)
    layer = keras.layers.Conv2D(
        kernel.shape[-1],
        size,
        strides,
        padding.mode,
        dilation_rate=dilations,
        groups=call.settings.get("group", 1),
        kernel_initializer="zeros",
    )
    tensor = layer(_padded(call, padding))
    layer.set_weights([kernel, bias])
    return images(tensor, maker=None if bias.any() else layer)


def average_pooling(call: Call) -> Value:
    """The means over windows. Zeros around images count where the node says so."""
    call.expect(ceil_mode=0, dilations=[1, 1])
    size, strides = _window(call), _pair(call, "strides")
    padding = _padding(call, size, strides)
    if call.settings.get("count_include_pad", 0) and padding.mode == "same":
        padding = Padding("valid", _ends(call))
    elif padding.has_zeros and not call.settings.get("count_include_pad", 0):
        raise call.refusal("no padding, or count_include_pad=1", f"pads {call.settings['pads']}")
    layer = keras.layers.AveragePooling2D(size, strides, padding.mode)
    return images(layer(_padded(call, padding)))


def max_pooling(call: Call) -> Value:
    """The maxima over windows."""
    call.expect(ceil_mode=0, dilations=[1, 1], storage_order=0)
    size, strides = _window(call), _pair(call, "strides")
    padding = _padding(call, size, strides)
    if padding.has_zeros:  # the zeros would count in the maxima
        raise call.refusal("no padding, or that of SAME_UPPER", f"pads {call.settings['pads']}")
    return images(keras.layers.MaxPooling2D(size, strides, padding.mode)(_images(call)))


def global_average_pooling(call: Call) -> Value:
    """The means over whole images."""
    return images(keras.layers.GlobalAveragePooling2D(keepdims=True)(_images(call)))


def _images(call: Call) -> keras.KerasTensor:
    value = call.value()
    if not value.holds_images:
        raise call.refusal(
            "images [1, channels, height, width] in their own order",
            f"a value of shape {list(value.shape)} that is not",
        )
    return value.images()


def _pair(call: Call, name: str) -> Pair:
    first, second = _numbers(call, name, (1, 1))
    return first, second


def _window(call: Call) -> Pair:
    first, second = _numbers(call, "kernel_shape", ())
    return first, second


def _numbers(call: Call, name: str, usual: tuple[int, ...], count: int = 2) -> Sequence[int]:
    """A setting that has numbers for both axes of images."""
    values = call.settings.get(name, usual)
    if len(values) != count:
        raise call.refusal(f"{name} of {count} numbers, as for images", f"{name}={list(values)}")
    return values


def _ends(call: Call) -> tuple[Pair, Pair]:
    top, left, bottom, right = _numbers(call, "pads", (0, 0, 0, 0), count=4)
    return (top, bottom), (left, right)


def _padding(call: Call, size: Pair, strides: Pair, dilations: Pair = (1, 1)) -> Padding:
    """The padding of a node; `same` where it equals TensorFlow's own."""
    automatic = call.settings.get("auto_pad", "NOTSET")
    if automatic not in ("NOTSET", "VALID", "SAME_UPPER"):
        raise call.refusal("auto_pad=NOTSET, VALID or SAME_UPPER", f"auto_pad={automatic}")
    if automatic == "SAME_UPPER":
        return Padding("same")
    zeros = _ends(call) if automatic == "NOTSET" else ((0, 0), (0, 0))
    if zeros == ((0, 0), (0, 0)):
        return Padding("valid")
    axes = zip(call.value().shape[2:], size, strides, dilations, strict=True)
    same = tuple(same_padding(*axis) for axis in axes)
    return Padding("same") if zeros == same else Padding("valid", zeros)


def _padded(call: Call, padding: Padding) -> keras.KerasTensor:
    tensor = _images(call)
    return keras.layers.ZeroPadding2D(padding.zeros)(tensor) if padding.has_zeros else tensor
