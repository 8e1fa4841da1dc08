"""Normalisations of each example by its own mean and deviation: differences, squares and products.

They keep no statistics. The normalised values have known limits, whatever the interval of the
deviation: of n values whose mean square is 1 none is larger than sqrt(n).
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.lowerings.weights import value as value_of
from rt_tf.network.ops import Affine, Limits, Tensor
from rt_tf.network.planes import PRODUCT
from rt_tf.network.recipe import Recipe, Value, reduced
from rt_tf.network.relaxations import RELU, RSQRT, SQUARE
from rt_tf.network.steps import Call, Step

LIMIT = 1.0 + 1e-3  # the share by which rounding may take a value beyond its limit


def layer_normalization(layer: Any, call: Call) -> list[Step]:
    """The steps of a normalisation over axes, which share a scale and a shift by place.

    UserError for rms_scaling, which Keras has deprecated.
    """
    if layer.rms_scaling:
        raise UserError(
            f"layer '{layer.name}': expected rms_scaling=False; received True; "
            "RMSNormalization is the layer for it"
        )
    recipe = Recipe(call)
    (x,) = recipe.inputs
    axes = _axes(layer.axis, len(x.shape))
    value = standardised(recipe, x, axes, layer.epsilon)
    return recipe.steps(_transformed(recipe, value, layer, axes))


def rms_normalization(layer: Any, call: Call) -> list[Step]:
    """The steps of values over the root of their mean square."""
    recipe = Recipe(call)
    (x,) = recipe.inputs
    axes = _axes(layer.axis, len(x.shape))
    count = math.prod(x.shape[k] for k in axes)
    root = _inverse_root(recipe, _squared(recipe, x), axes, count, layer.epsilon)
    value = _product(recipe, x, root, math.sqrt(count))
    scale = _placed(layer.scale, x.shape, axes)
    return recipe.steps(recipe.scaled(value, scale))


def group_normalization(layer: Any, call: Call) -> list[Step]:
    """The steps of a normalisation of each group of channels."""
    recipe = Recipe(call)
    (x,) = recipe.inputs
    axis = layer.axis % (len(x.shape) + 1) - 1
    channels = x.shape[axis]
    groups = channels if layer.groups == -1 else layer.groups
    split = (*x.shape[:axis], groups, channels // groups, *x.shape[axis + 1 :])
    grouped = recipe.reshaped(x, split)
    axes = [k for k in range(len(split)) if k != axis]
    value = standardised(recipe, grouped, axes, layer.epsilon)
    return recipe.steps(_transformed(recipe, recipe.reshaped(value, x.shape), layer, [axis]))


def unit_normalization(layer: Any, call: Call) -> list[Step]:
    """The steps of values over their Euclidean length."""
    recipe = Recipe(call)
    (x,) = recipe.inputs
    return recipe.steps(unit(recipe, x, _axes(layer.axis, len(x.shape)), 1e-12))


def unit(recipe: Recipe, x: Value, axes: Sequence[int], epsilon: float) -> Value:
    """A value over its Euclidean length along axes, or over epsilon where that is larger."""
    squares = recipe.summed(_squared(recipe, x), axes, keepdims=True)
    # max(s, e) = e + relu(s - e)
    floor = epsilon * epsilon
    above = recipe.activated(recipe.scaled(squares, 1.0, -floor), RELU)
    raised = recipe.scaled(above, 1.0, floor, limits=_at_least(floor))
    root = recipe.add(RSQRT, raised, limits=Limits(0.0, (1.0 + 1e-5) / epsilon))
    return _product(recipe, x, root, 1.0)


def standardised(recipe: Recipe, x: Value, axes: Sequence[int], epsilon: float) -> Value:
    """A value less its mean along axes, over the root of its variance plus epsilon."""
    count = math.prod(x.shape[k] for k in axes)
    centred = _centred(recipe, x, axes, count)
    root = _inverse_root(recipe, _squared(recipe, centred), axes, count, epsilon)
    # Served, x and its mean are multiplied by the inverse root apart, and their rounding by its
    # largest value; squares are of differences from the rounded mean.
    return _product(recipe, centred, root, math.sqrt(count), 2.0**-20 / math.sqrt(epsilon))


def _centred(recipe: Recipe, x: Value, axes: Sequence[int], count: int) -> Value:
    """The value less its mean, as one map: its own share of the mean is taken from it first."""
    kernel = tf.constant([1.0 - 1.0 / count, -1.0 / count])
    # The bias pays for the served network, which subtracts products with the deviation.
    op = Affine(
        _Centring(tuple(axes)), kernel, tf.constant(0.0), count + 8, count + 8, tf.zeros([])
    )
    return recipe.add(op, x)


@dataclasses.dataclass(frozen=True)
class _Centring:
    """Each value times the first number of a kernel, and the others' sum times the second."""

    axes: tuple[int, ...]

    def __call__(self, x: Tensor, kernel: Tensor) -> Tensor:
        total = tf.reduce_sum(x, [k + 1 for k in self.axes], keepdims=True)
        return kernel[0] * x + kernel[1] * (total - x)


def _inverse_root(
    recipe: Recipe, squares: Value, axes: Sequence[int], count: int, epsilon: float
) -> Value:
    """One over the root of squares' mean, plus epsilon: in the shape with axes of size 1."""
    with_batch = [k + 1 for k in axes]

    def mean(x: Tensor, kernel: Tensor) -> Tensor:
        return kernel * tf.reduce_mean(x, with_batch, keepdims=True)

    shifted = Affine(
        mean, tf.constant(1.0), tf.constant(epsilon), count + 1, 1, tf.constant(epsilon)
    )
    shape = reduced(squares.shape, axes, keepdims=True)
    variance = recipe.add(shifted, squares, shape=shape, limits=_at_least(epsilon))
    return recipe.activated(variance, RSQRT)


def _squared(recipe: Recipe, x: Value) -> Value:
    """The squares, which no rounding takes below 0."""
    return recipe.add(SQUARE, x, limits=_at_least(0.0))


def _at_least(least: float) -> Limits:
    """The limits of what is no less than a number, when served in float32."""
    return Limits(least * (1.0 - 1e-6), math.inf)


def _product(
    recipe: Recipe, value: Value, root: Value, limit: float, by_size: float = 0.0
) -> Value:
    """The value times the inverse root, within the limit on either side. by_size: see `Limits`."""
    most = LIMIT * limit
    factors = recipe.alike(value, root)
    return recipe.add(PRODUCT, *factors, limits=Limits(-most, most, by_size))


def _transformed(recipe: Recipe, value: Value, layer: Any, axes: Sequence[int]) -> Value:
    """The value times a layer's gamma, plus its beta."""
    if layer.gamma is None and layer.beta is None:
        return value
    gamma, beta = (
        default if weight is None else _placed(weight, value.shape, axes)
        for weight, default in ((layer.gamma, 1.0), (layer.beta, 0.0))
    )
    return recipe.scaled(value, gamma, beta)


def _placed(weight: keras.Variable, shape: Sequence[int], axes: Sequence[int]) -> Tensor:
    """A weight with a number for each place of some axes, as it broadcasts against a value."""
    values = value_of(weight)
    if list(axes) == [len(shape) - 1]:
        return values
    return tf.reshape(values, [size if k in axes else 1 for k, size in enumerate(shape)])


def _axes(axis: int | Sequence[int], rank: int) -> list[int]:
    """Axes counted from the first one after the batch's, in order."""
    axes = [axis] if isinstance(axis, int) else list(axis)
    return sorted(k % (rank + 1) - 1 for k in axes)
