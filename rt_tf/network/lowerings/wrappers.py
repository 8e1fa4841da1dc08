"""Layers that apply another layer to every part of their input."""

import dataclasses
from collections.abc import Callable
from typing import TypeAlias

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.ops import Affine, Op, Positive, Tensor
from rt_tf.network.steps import Call, Step

Lower: TypeAlias = Callable[[keras.layers.Layer, Call], list[Step]]


def inside(layer: keras.layers.Layer, call: Call, lower: Lower) -> list[Step]:
    """The steps of the layer inside of another that does nothing else at inference.

    lower: gives the steps of the layer inside.
    """
    _refuse_other_precision(layer)
    return lower(layer.layer, call)


def at_each_time(layer: keras.layers.Layer, call: Call, lower: Lower) -> list[Step]:
    """The steps of a TimeDistributed layer: those of the layer inside, at each time by itself.

    lower: gives the steps of the layer inside. UserError for a batch normalisation, whose
    statistics in training would be of single times.
    """
    if isinstance(layer.layer, keras.layers.BatchNormalization):
        raise UserError(
            f"layer '{layer.name}': expected a batch normalisation outside of TimeDistributed, "
            f"where it does the same; received '{layer.layer.name}' inside"
        )
    _refuse_other_precision(layer)
    times, *shape = call.input_shapes[0]
    steps = lower(layer.layer, call._replace(input_shapes=(tuple(shape),)))
    return [_step_at_each_time(step, times) for step in steps]


def _refuse_other_precision(layer: keras.layers.Layer) -> None:
    """Raises UserError unless the layer inside computes in the type of the one around it."""
    own, inner = layer.compute_dtype, layer.layer
    if inner.compute_dtype != own:
        raise UserError(
            f"layer '{layer.name}': expected a layer inside that computes in {own}, too; "
            f"received '{inner.name}' in {inner.compute_dtype}"
        )


def _step_at_each_time(step: Step, times: int) -> Step:
    hull = step.hull and step.hull._replace(op=_positive_at_each_time(step.hull.op, times))
    return Step(_op_at_each_time(step.op, times), step.inputs, hull)


def _op_at_each_time(op: Op, times: int) -> Op:
    """The operation for values with an axis of times; elementwise ones are that already."""
    if isinstance(op, Positive):
        return _positive_at_each_time(op, times)
    if not isinstance(op, Affine):
        return op

    def fn(x: Tensor, kernel: Tensor) -> Tensor:
        return _AtEachTime(lambda one: op.fn(one, kernel), times)(x)

    return dataclasses.replace(op, fn=fn, window=None)


def _positive_at_each_time(op: Positive, times: int) -> Positive:
    magnitude = op.magnitude and _AtEachTime(op.magnitude, times)
    return Positive(_AtEachTime(op.fn, times), op.terms, magnitude=magnitude)


@dataclasses.dataclass(frozen=True)
class _AtEachTime:
    """A function of examples, of values [batch, times, ...]."""

    fn: Callable[..., Tensor]
    times: int

    def __call__(self, *values: Tensor) -> Tensor:
        result = self.fn(*(tf.reshape(x, [-1, *x.shape[2:]]) for x in values))
        return tf.reshape(result, [-1, self.times, *result.shape[1:]])
