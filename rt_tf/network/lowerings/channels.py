"""Layers whose channels come before their places, by those whose channels come last."""

from collections.abc import Callable
from typing import TypeAlias

import keras
import tensorflow as tf

from rt_tf.network.activations import activation_steps
from rt_tf.network.lowerings.keras_sums import refuse_misplaced
from rt_tf.network.ops import Positive, Tensor
from rt_tf.network.steps import Call, Step

Lowering: TypeAlias = Callable[[keras.layers.Layer, Call], list[Step]]


def any_format(lowering: Lowering) -> Lowering:
    """A lowering that also takes layers with `data_format="channels_first"`.

    lowering: of layers whose channels come last, by the shapes of the call alone. Values are moved
    before its steps and after them; an `activation=` comes last. UserError for a bias that Keras
    misplaces.
    """

    def lower(layer: keras.layers.Layer, call: Call) -> list[Step]:
        if getattr(layer, "data_format", "channels_last") == "channels_last":
            return lowering(layer, call)
        (shape,) = call.input_shapes
        output = layer.compute_output_shape((1, *shape))[1:]
        if getattr(layer, "use_bias", False):
            refuse_misplaced(layer, output, (output[0], *[1] * (len(output) - 1)))
        inside = call._replace(input_shapes=((*shape[1:], shape[0]),), bare=True)
        steps = [Step(Positive(_last)), *(_after_move(s) for s in lowering(layer, inside))]
        if len(output) > 1:
            steps.append(Step(Positive(_first), (len(steps),)))
        has_activation = hasattr(layer, "activation")
        return steps + (activation_steps(layer, call, len(steps)) if has_activation else [])

    return lower


def _after_move(step: Step) -> Step:
    """The step of a layer whose input is moved first."""
    hull = step.hull and step.hull._replace(sources=tuple(k + 1 for k in step.hull.sources))
    return Step(step.op, tuple(k + 1 for k in step.inputs), hull)


def _last(x: Tensor) -> Tensor:
    """Values with their channels last: [batch, channels, ...] -> [batch, ..., channels]."""
    return tf.transpose(x, [0, *range(2, x.shape.rank), 1])


def _first(x: Tensor) -> Tensor:
    """Values with their channels first: [batch, ..., channels] -> [batch, channels, ...]."""
    return tf.transpose(x, [0, x.shape.rank - 1, *range(1, x.shape.rank - 1)])
