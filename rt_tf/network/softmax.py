"""Softmax within a network, as `1 / (1 + sum over j != i of exp(x_j - x_i))`.

Differences, a sum and two curves: each output is monotone in every input, so that its interval is
exact, and no product is relaxed. Source: the bound of reciprocals of sums in Wei et al. 2023
(Convex bounds on the softmax function).
"""

import dataclasses
import math
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.ops import Affine, Limits, Tensor
from rt_tf.network.recipe import Recipe, Value
from rt_tf.network.relaxations import LOG, RECIPROCAL, SATURATING_EXP
from rt_tf.network.steps import Call, Step

# Served, each exponential is of x_j less the largest x: that difference's rounding, of sizes up to
# 104 beyond which float32 has no exponentials, is a relative error of two exponentials.
EXP = dataclasses.replace(SATURATING_EXP, ulps=SATURATING_EXP.ulps + 512.0)
ROOM = 1e-4  # that rounding may take a sum below 1, or a share above it
# Values below are zero when served, or were cut where the exponential saturates.
SHARE = dataclasses.replace(RECIPROCAL, absolute=2.0**-100)


def softmax(layer: keras.layers.Softmax, call: Call) -> list[Step]:
    """The steps of a softmax over one axis or several."""
    recipe = Recipe(call)
    (x,) = recipe.inputs
    axes = layer.axis if isinstance(layer.axis, list | tuple) else [layer.axis]
    places = [axis % (len(x.shape) + 1) - 1 for axis in axes]
    if -1 in places:
        raise UserError(
            f"layer '{layer.name}': expected a softmax over other axes than the batch's, such as "
            f"over the classes; received axis={layer.axis}"
        )
    return recipe.steps(normalised(recipe, x, places))


def normalised(
    recipe: Recipe, x: Value, axes: Sequence[int], mask: np.ndarray | None = None
) -> Value:
    """The softmax of a value over axes, counted without the batch's.

    mask: bool [rows, n], of the last two axes, where only the last is summed over: the places that
    count; others have the share 0. Each row counts one at least.
    """
    return _along(recipe, x, axes, lambda rows: _shares(recipe, rows, mask))


def logarithms(recipe: Recipe, x: Value, axes: Sequence[int]) -> Value:
    """The logarithm of the softmax of a value over axes, counted without the batch's."""

    def of_rows(rows: Value) -> Value:
        return recipe.scaled(recipe.activated(_sums(recipe, rows, None), LOG), -1.0)

    return _along(recipe, x, axes, of_rows)


def _along(
    recipe: Recipe, x: Value, axes: Sequence[int], of_rows: Callable[[Value], Value]
) -> Value:
    """The values that a function makes of rows: the numbers along some axes."""
    others = [k for k in range(len(x.shape)) if k not in axes]
    order = [*others, *axes]
    moved = recipe.transposed(x, order)
    count = math.prod(x.shape[k] for k in axes)
    rows = of_rows(recipe.reshaped(moved, (*(x.shape[k] for k in others), count)))
    back = [order.index(k) for k in range(len(order))]
    return recipe.transposed(recipe.reshaped(rows, moved.shape), back)


def _sums(recipe: Recipe, x: Value, mask: np.ndarray | None) -> Value:
    """One over the softmax along the last axis: sums of exponentials of differences."""
    count = x.shape[-1]
    if count == 1:
        return recipe.scaled(x, 0.0, 1.0)
    differences = Affine(
        _Differences(count), tf.constant([1.0, -1.0]), tf.constant(0.0), 2, 2 * count, tf.zeros([])
    )
    counted = tf.constant(1.0) if mask is None else tf.constant(_of_others(mask), tf.float32)
    apart = recipe.add(differences, x, shape=(*x.shape, count - 1))
    powers = recipe.activated(apart, EXP)
    total = Affine(_total, counted, tf.constant(1.0), count, 1, tf.constant(1.0))
    return recipe.add(total, powers, shape=x.shape, limits=Limits(1.0 - ROOM, math.inf))


def _shares(recipe: Recipe, x: Value, mask: np.ndarray | None) -> Value:
    """The softmax along the last axis."""
    sums = _sums(recipe, x, mask)
    shares = recipe.add(SHARE, sums, limits=Limits(0.0, 1.0 + ROOM))
    return shares if mask is None else recipe.scaled(shares, mask.astype(np.float32))


def _of_others(mask: np.ndarray) -> np.ndarray:
    """A mask [rows, n] for the other places beside each: [rows, n, n - 1]."""
    return mask[:, _others(mask.shape[1])]


def _others(count: int) -> np.ndarray:
    """The numbers of the other places beside each: [n, n - 1]."""
    numbers = np.arange(count)
    return np.stack([np.delete(numbers, k) for k in numbers])


@dataclasses.dataclass(frozen=True)
class _Differences:
    """Each value of the last axis, from all the others: [..., n] -> [..., n, n - 1]."""

    count: int

    def __call__(self, x: Tensor, signs: Tensor) -> Tensor:
        """The signed sums of each value with every other one: [..., n] -> [..., n, n - 1]."""
        others = tf.gather(x, _others(self.count), axis=-1)
        return signs[0] * others + signs[1] * x[..., tf.newaxis]


def _total(x: Tensor, kernel: Tensor) -> Tensor:
    return tf.reduce_sum(kernel * x, axis=-1)
