"""The Keras input of an ONNX network: images channels-last, or vectors."""

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from rt_tf.interchange.nodes.call import Operand, evaluated
from rt_tf.interchange.nodes.layouts import Shape, numbers
from rt_tf.interchange.nodes.values import Value, channels_last, placed, vectors

BY_NUMBER = ("Add", "Cast", "Div", "Identity", "Mul", "Sub")  # they keep images what they are
CHANNELS_FIRST = (
    *("AveragePool", "BatchNormalization", "Conv", "ConvTranspose", "GlobalAveragePool"),
    *("GlobalMaxPool", "GroupNormalization", "InstanceNormalization", "MaxPool"),
)


def start(
    nodes: Sequence[Any],
    opsets: Mapping[str, int],
    weights: dict[str, Operand],
    name: str,
    shape: Shape,
) -> Value:
    """The input as a value; the first node that moves it decides whether it holds images."""
    reader = _first_mover(nodes, name)
    laid = _laid(reader, opsets, weights, shape)
    if len(laid) == 4 and _is_channels_first(reader, laid):
        order = channels_last(laid)
        tensor = _input(laid[axis] for axis in order)
        value = placed(tensor, laid, order)
    elif len(laid) > 2 and laid[0] == 1 and sum(size > 1 for size in laid) > 1:
        value = vectors(_input(laid[1:]), laid)
    else:
        value = vectors(_input([numbers(laid)]), laid)
    return value._replace(positions=value.positions.reshape(shape))


def _input(shape: Any) -> keras.KerasTensor:
    return keras.Input(tuple(shape), name="input", dtype="float32")


def _laid(
    reader: Any, opsets: Mapping[str, int], weights: dict[str, Operand], shape: Shape
) -> Shape:
    """The shape of the images that an input holds, flattened or not; its own shape otherwise."""
    if len(shape) == 4 or reader is None or reader.op_type != "Reshape" or len(reader.input) < 2:
        return shape
    target = weights.get(reader.input[1])
    if not isinstance(target, np.ndarray) or target.shape != (4,):
        return shape
    (reshaped,) = evaluated(reader, opsets, [np.zeros(shape, np.float32), target])
    return reshaped.shape if reshaped.shape[0] == 1 else shape


def _is_channels_first(reader: Any, shape: Shape) -> bool:
    """Whether images have their channels before rows and columns; else the fewer are channels."""
    kind = None if reader is None else reader.op_type
    if kind in CHANNELS_FIRST:
        return True
    return kind != "Transpose" and shape[1] <= shape[3]


def _first_mover(nodes: Sequence[Any], name: str) -> Any:
    """The first node that does more to the input than arithmetic; None if there is none."""
    for node in nodes:
        if name in node.input:
            if node.op_type not in BY_NUMBER:
                return node
            name = node.output[0]
    return None
