"""Layers that move values, join them and add them up, as positive operations."""

import math
from collections.abc import Sequence

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.ops import Positive, Tensor, Window
from rt_tf.network.steps import Call, Step, refuse_channels_first

Shape = tuple[int, ...]  # without batch


def nothing(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of the identity: none."""
    return []


def flatten(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step from each example to a vector."""
    refuse_channels_first(layer)
    size = math.prod(call.input_shapes[0])
    return [Step(Positive(lambda x: tf.reshape(x, [-1, size])))]


def reshape(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step from each example to another shape."""
    shape = layer.compute_output_shape((1, *call.input_shapes[0]))[1:]
    return [Step(Positive(lambda x: tf.reshape(x, [-1, *shape])))]


def zero_padding(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of zeros around images."""
    refuse_channels_first(layer)
    (top, bottom), (left, right) = layer.padding
    paddings = [[0, 0], [top, bottom], [left, right], [0, 0]]
    window = Window(lambda x: x, before=(top, left))
    return [Step(Positive(lambda x: tf.pad(x, paddings), window=window))]


def add(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of sums, of inputs that broadcast to one shape if they are not of one.

    UserError for inputs of different ranks.
    """
    shapes = call.input_shapes
    if len({len(shape) for shape in shapes}) != 1:
        raise UserError(
            f"layer '{layer.name}': expected inputs of equally many axes; "
            f"received {', '.join(str((None, *shape)) for shape in shapes)}"
        )
    total = tuple(max(sizes) for sizes in zip(*shapes, strict=True))
    if set(shapes) == {total}:
        op = Positive(_sum, len(shapes), Window(_sum))
    else:
        op = _broadcast_sum(shapes, total)
    return [Step(op, tuple(range(len(shapes))))]


def _broadcast_sum(shapes: Sequence[Shape], total: Shape) -> Positive:
    copies = max(math.prod(total) // math.prod(shape) for shape in shapes)

    def spread(x: Tensor) -> Tensor:
        return tf.broadcast_to(x, [tf.shape(x)[0], *total])

    return Positive(lambda *inputs: _sum(*map(spread, inputs)), max(len(shapes), copies))


def _sum(*values: Tensor) -> Tensor:
    return tf.add_n(values)


def concatenate(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The step of inputs one after another along an axis; UserError for the batch's axis."""
    axis = layer.axis % (len(call.input_shapes[0]) + 1)
    if axis == 0:
        raise UserError(
            f"layer '{layer.name}': expected an axis other than the batch's; received axis=0"
        )
    by_channel = axis == len(call.input_shapes[0])
    window = Window(lambda *inputs: tf.concat(inputs, -1)) if by_channel else None
    op = Positive(lambda *inputs: tf.concat(inputs, axis), window=window)
    return [Step(op, tuple(range(len(call.input_shapes))))]
