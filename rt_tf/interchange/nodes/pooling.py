"""ONNX nodes of pooling as Keras layers."""

import functools

import keras
import numpy as np

from rt_tf.interchange.nodes.call import Call
from rt_tf.interchange.nodes.scaling import scaled
from rt_tf.interchange.nodes.values import Value
from rt_tf.interchange.nodes.windows import (
    Axis,
    Windows,
    images,
    of_images,
    windows,
    zero_padded,
)

L = keras.layers

AVERAGES = {2: L.AveragePooling2D, 3: L.AveragePooling3D}
MAXIMA = {2: L.MaxPooling2D, 3: L.MaxPooling3D}


def average_pooling(call: Call) -> Value:
    """The means over windows; what they reach over counts where the node says so."""
    call.expect(dilations=[1] * len(call.settings.get("kernel_shape", ())))
    frame, axes = _frame(call), len(call.value().shape) - 2
    counts_padding = bool(call.settings.get("count_include_pad", 0))
    tensor, pool = images(call.value()), AVERAGES[len(frame.axes)]
    if frame.is_same and not (frame.is_plain or counts_padding):
        return of_images(pool(frame.all("window"), frame.all("stride"), "same")(tensor), axes)
    layer = pool(frame.all("window"), frame.all("stride"), "valid")
    value = of_images(layer(zero_padded(tensor, frame.ends)), axes)
    scales = [_scales(axis, counts_padding) for axis in frame.axes[-axes:]]
    scale = functools.reduce(np.multiply, np.ix_(*scales))
    return value if (scale == 1.0).all() else scaled(value, scale)


def max_pooling(call: Call) -> Value:
    """The maxima over windows.

    An edge repeated outward counts for nothing: each window that reaches over it has it.
    """
    call.expect(storage_order=0)
    if len([name for name in call.node.output if name]) > 1:
        raise call.refusal("the maxima alone", "their indices, too")
    frame, axes = _frame(call), len(call.value().shape) - 2
    tensor, pool = images(call.value()), MAXIMA[len(frame.axes)]
    if frame.is_same and not frame.is_plain:
        return of_images(pool(frame.all("window"), frame.all("stride"), "same")(tensor), axes)
    strides = [axis.stride if axis.dilation == 1 else axis.window for axis in frame.axes]
    for i, axis in enumerate(frame.axes):
        if axis.dilation > 1 or axis.ends != (0, 0):
            tensor = keras.ops.take(tensor, _places(call, axis), axis=i + 1)
    return of_images(pool(frame.all("window"), strides, "valid")(tensor), axes)


def _places(call: Call, axis: Axis) -> np.ndarray:
    """The places that windows read along an axis; windows with gaps one after another.

    A place beyond the image is replaced by one that the same window reads inside.
    """
    before, after = axis.ends
    if axis.dilation == 1:
        return np.arange(-before, axis.size + after).clip(0, axis.size - 1)
    starts = np.arange(axis.outputs) * axis.stride - before
    places = starts[:, np.newaxis] + axis.dilation * np.arange(axis.window)
    inside = (places >= 0) & (places < axis.size)
    if not inside.any(axis=1).all():
        raise call.refusal("windows that all read the image", f"pads {call.settings['pads']}")
    first = np.take_along_axis(places, inside.argmax(axis=1)[:, np.newaxis], axis=1)
    return np.where(inside, places, first).ravel()


def _frame(call: Call) -> Windows:
    window = call.settings.get("kernel_shape", ())
    frame = windows(call, window)
    for axis in frame.axes:
        if max(axis.before, axis.after) >= axis.span:
            raise call.refusal("pads less than the windows", f"pads {call.settings['pads']}")
    return frame


def _scales(axis: Axis, counts_padding: bool) -> np.ndarray:
    """The numbers of a window over those of them that count, window by window."""
    before, after = axis.ends
    counted = np.ones(axis.size + before + after)
    if counts_padding:
        counted[axis.size + before + axis.after :] = 0.0
    else:
        counted[:before], counted[axis.size + before :] = 0.0, 0.0
    starts = np.arange(axis.outputs) * axis.stride
    counts = np.array([counted[start : start + axis.window].sum() for start in starts])
    return axis.window / counts
