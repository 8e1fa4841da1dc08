"""Operations that reduce axes: sums, means, largest and least values, variances."""

import math
from typing import Any

import tensorflow as tf

from rt_tf.network.lowerings.maxima import maxima
from rt_tf.network.operations.operands import axes_of
from rt_tf.network.ops import Positive, Tensor
from rt_tf.network.recipe import Recipe, Value, reduced
from rt_tf.network.relaxations import SQRT, SQUARE
from rt_tf.network.steps import Call, Step


def summed(operation: Any, call: Call) -> list[Step]:
    """The step of sums over axes."""
    recipe = Recipe(call)
    axes = _axes(operation, call)
    return recipe.steps(recipe.summed(recipe.inputs[0], axes, operation.keepdims))


def mean(operation: Any, call: Call) -> list[Step]:
    """The step of means over axes."""
    recipe = Recipe(call)
    return recipe.steps(_mean(recipe, recipe.inputs[0], _axes(operation, call), operation.keepdims))


def variance(operation: Any, call: Call) -> list[Step]:
    """The steps of variances over axes, or of their roots."""
    recipe = Recipe(call)
    (x,), axes = recipe.inputs, _axes(operation, call)
    middle = recipe.spread(_mean(recipe, x, axes, keepdims=True), x.shape)
    squares = recipe.activated(recipe.subtracted(x, middle), SQUARE)
    value = _mean(recipe, squares, axes, operation.keepdims)
    is_root = type(operation).__name__ == "Std"
    return recipe.steps(recipe.activated(value, SQRT) if is_root else value)


def largest(operation: Any, call: Call) -> list[Step]:
    """The steps of the largest values over axes."""
    return _extreme(operation, call, 1.0)


def least(operation: Any, call: Call) -> list[Step]:
    """The steps of the least values over axes: minus the largest of minus the values."""
    return _extreme(operation, call, -1.0)


def _extreme(operation: Any, call: Call, sign: float) -> list[Step]:
    recipe = Recipe(call)
    (x,), axes = recipe.inputs, _axes(operation, call)
    x = x if sign > 0.0 else recipe.scaled(x, sign)
    count = math.prod(x.shape[k] for k in axes)
    others = [k for k in range(len(x.shape)) if k not in axes]
    rows = recipe.transposed(x, [*axes, *others])
    rows = recipe.reshaped(rows, (count, *(x.shape[k] for k in others)))
    tree = maxima([Step(Positive(tf.identity))], count)
    top = recipe.extend(tree, rows, (1, *rows.shape[1:]))
    top = recipe.reshaped(top, reduced(x.shape, axes, operation.keepdims))
    return recipe.steps(top if sign > 0.0 else recipe.scaled(top, sign))


def _mean(recipe: Recipe, x: Value, axes: list[int], keepdims: bool) -> Value:
    count, with_batch = math.prod(x.shape[k] for k in axes), [k + 1 for k in axes]

    def mean(values: Tensor) -> Tensor:
        return tf.reduce_mean(values, with_batch, keepdims)

    return recipe.add(Positive(mean, count + 1), x, shape=reduced(x.shape, axes, keepdims))


def _axes(operation: Any, call: Call) -> list[int]:
    return axes_of(operation, operation.axis, len(call.input_shapes[0]) + 1)
