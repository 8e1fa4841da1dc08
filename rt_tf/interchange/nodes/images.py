"""ONNX nodes of convolutions as Keras layers."""

from collections.abc import Sequence

import keras
import numpy as np

from rt_tf.interchange.nodes.call import Call
from rt_tf.interchange.nodes.scaling import plus
from rt_tf.interchange.nodes.values import Value
from rt_tf.interchange.nodes.windows import (
    images,
    numbers_of,
    of_images,
    windows,
    zero_padded,
)

L = keras.layers

CONVOLUTIONS = {2: L.Conv2D, 3: L.Conv3D}
TRANSPOSED = {2: L.Conv2DTranspose, 3: L.Conv3DTranspose}
CROPPING = {2: L.Cropping2D, 3: L.Cropping3D}


def convolution(call: Call) -> Value:
    """The value of convolutions of all channels, or in groups of them."""
    weights, axes = _kernel(call), len(call.value().shape) - 2
    frame = windows(call, weights.shape[2:])
    kernel = _kernel_last(weights, axes)
    has_same = frame.is_same and not frame.is_plain
    layer = CONVOLUTIONS[len(frame.axes)](
        kernel.shape[-1],
        frame.all("window"),
        frame.all("stride"),
        "same" if has_same else "valid",
        dilation_rate=frame.all("dilation"),
        groups=call.settings.get("group", 1),
        kernel_initializer="zeros",
    )
    tensor = images(call.value())
    result = layer(tensor if has_same else zero_padded(tensor, frame.ends))
    layer.set_weights([kernel, np.zeros(kernel.shape[-1], np.float32)])
    return _biased(call, of_images(result, axes, layer))


def transposed_convolution(call: Call) -> Value:
    """The value of transposed convolutions: each number adds a multiple of the kernel."""
    weights, axes = _kernel(call), len(call.value().shape) - 2
    if "output_shape" in call.settings:
        raise call.refusal("pads", f"output_shape={call.settings['output_shape']}")
    if call.settings.get("auto_pad", "NOTSET") not in ("NOTSET", "VALID"):
        raise call.refusal("auto_pad=NOTSET", f"auto_pad={call.settings['auto_pad']}")
    kernel = _kernel_last(_ungrouped(weights, call.settings.get("group", 1)), axes)
    row = [1] * (axes == 1)
    strides = [*row, *numbers_of(call, "strides", axes, 1)]
    dilations = [*row, *numbers_of(call, "dilations", axes, 1)]
    layer = TRANSPOSED[len(strides)](
        kernel.shape[-2],
        kernel.shape[: len(strides)],
        strides,
        "valid",
        dilation_rate=dilations,
        kernel_initializer="zeros",
    )
    result = layer(images(call.value()))
    layer.set_weights([kernel, np.zeros(kernel.shape[-2], np.float32)])
    return _biased(call, _trimmed(result, _pads(call, weights.shape[2:], axes), axes))


def _trimmed(tensor: keras.KerasTensor, pads: list[tuple[int, int]], axes: int) -> Value:
    """Images without so many numbers at each end; zeros where they are fewer than none."""
    ends = [(0, 0)] * (axes == 1) + pads
    crops = [(max(before, 0), max(after, 0)) for before, after in ends]
    if any(crop != (0, 0) for crop in crops):
        tensor = CROPPING[len(ends)](tuple(crops))(tensor)
    zeros = tuple((max(-before, 0), max(-after, 0)) for before, after in ends)
    return of_images(zero_padded(tensor, zeros), axes)


def _pads(call: Call, window: Sequence[int], axes: int) -> list[tuple[int, int]]:
    """The numbers to cut off before and after each axis; fewer than none are zeros to add.

    Keras adds zeros where strides are wider than the kernel, and output_padding of ONNX does.
    """
    pads = numbers_of(call, "pads", 2 * axes, 0)
    zeros = numbers_of(call, "output_padding", axes, 0)
    strides = numbers_of(call, "strides", axes, 1)
    dilations = numbers_of(call, "dilations", axes, 1)
    spans = [(taps - 1) * dilation + 1 for taps, dilation in zip(window, dilations, strict=True)]
    beyond = [max(stride - span, 0) for stride, span in zip(strides, spans, strict=True)]
    return [
        (before, after - zero + more)
        for before, after, zero, more in zip(pads[:axes], pads[axes:], zeros, beyond, strict=True)
    ]


def _ungrouped(weights: np.ndarray, groups: int) -> np.ndarray:
    """Weights [inputs, outputs of a group, ...] of all inputs and outputs: zeros between groups."""
    inputs, outputs = weights.shape[:2]
    dense = np.zeros((inputs, outputs * groups, *weights.shape[2:]), weights.dtype)
    for group in range(groups):
        rows = slice(group * inputs // groups, (group + 1) * inputs // groups)
        dense[rows, group * outputs : (group + 1) * outputs] = weights[rows]
    return dense


def _kernel(call: Call) -> np.ndarray:
    """The weights of a convolution; UserError unless they are those of images."""
    weights = call.finite(1)
    if weights.ndim != len(call.value().shape) or not 3 <= weights.ndim <= 5:
        raise call.refusal(
            "a convolution of images of one to three axes",
            f"a kernel {list(weights.shape)} for shape {list(call.value().shape)}",
        )
    return weights


def _kernel_last(weights: np.ndarray, axes: int) -> np.ndarray:
    """Weights [a, b, ...] as [..., b, a]; those of series have one row."""
    if axes == 1:
        weights = weights[:, :, np.newaxis]
    return weights.transpose(*range(2, weights.ndim), 1, 0)


def _biased(call: Call, value: Value) -> Value:
    if not call.has(2):
        return value
    bias = call.finite(2)
    return plus(value, bias.reshape(-1, *[1] * (len(value.shape) - 2)))
