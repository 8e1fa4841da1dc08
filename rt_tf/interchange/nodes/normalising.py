"""ONNX nodes that normalise values by their own statistics, or to shares of one."""

from collections.abc import Sequence

import keras
import numpy as np

from rt_tf.interchange.nodes.call import Call
from rt_tf.interchange.nodes.scaling import scaled
from rt_tf.interchange.nodes.values import Value, placed, vectors

L = keras.layers

ONE_AXIS = 13  # the opset from which on a softmax is over one axis; before, over all from one on


def layer_normalization(call: Call) -> Value:
    """The value less its mean over the last axes, over its deviation, times a scale plus a bias."""
    value = call.value()
    if len([name for name in call.node.output if name]) > 1:
        raise call.refusal("the normalised value alone", "its mean or deviation, too")
    axis = call.settings.get("axis", -1) % len(value.shape)
    result = _normalised(value, value.shape[:axis], call.settings.get("epsilon", 1e-5))
    return scaled(result, call.finite(1), call.finite(2) if call.has(2) else 0.0)


def instance_normalization(call: Call) -> Value:
    """The value normalised over the images of each channel, times a scale plus a bias of each."""
    value = call.value()
    result = _normalised(value, value.shape[:2], call.settings.get("epsilon", 1e-5))
    return _by_channel(result, call.finite(1), call.finite(2))


def group_normalization(call: Call) -> Value:
    """The value normalised over groups of channels, times a scale plus a bias.

    Both are of each group before opset 21, of each channel from then on.
    """
    value, groups = call.value(), call.settings["num_groups"]
    result = _normalised(value, (value.shape[0], groups), call.settings.get("epsilon", 1e-5))
    each = value.shape[1] // groups
    scale, bias = (
        x if x.size == value.shape[1] else np.repeat(x, each)
        for x in (call.finite(1), call.finite(2))
    )
    return _by_channel(result, scale, bias)


def softmax(call: Call) -> Value:
    """The shares of exponentials over one axis, or their logarithms.

    In old files a softmax is over all axes from one on, of which here but one may be more than 1.
    """
    value, shape = call.value(), call.value().shape
    axis = call.settings.get("axis", -1 if call.opset >= ONE_AXIS else 1)
    if not -len(shape) <= axis < len(shape):
        raise call.refusal("an axis of its operand", f"axis={axis} of {list(shape)}")
    axis %= len(shape)
    if call.opset < ONE_AXIS and np.prod(shape[axis:]) != shape[axis]:
        raise call.refusal("one axis, as ONNX's evaluator has it", f"axis={axis} of {list(shape)}")
    if axis not in value.axes:
        raise call.refusal("an axis other than the batch's", f"axis={axis}")
    order = value.order
    place = order.index(axis) + 1
    tensor = value.arranged(order)
    if call.node.op_type == "LogSoftmax":
        tensor = keras.ops.log_softmax(tensor, axis=place)
    else:
        tensor = L.Softmax(place)(tensor)
    return placed(tensor, value.shape, order)


def _normalised(value: Value, kept: Sequence[int], epsilon: float) -> Value:
    """The value less the mean over its last axes, over their deviation; kept: sizes of others."""
    groups = int(np.prod(kept))
    rows = value._replace(positions=value.positions.reshape(groups, -1))
    layer = L.LayerNormalization(epsilon=epsilon, center=False, scale=False)
    return vectors(layer(rows.arranged()), value.shape)


def _by_channel(value: Value, scale: np.ndarray, bias: np.ndarray) -> Value:
    shape = [-1, *[1] * (len(value.shape) - 2)]
    return scaled(value, scale.reshape(shape), bias.reshape(shape))
