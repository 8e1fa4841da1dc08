"""Layers that multiply two values: elementwise, or summed along axes."""

import string
from collections.abc import Sequence
from typing import Any

import keras

from rt_tf.errors import UserError
from rt_tf.network.products.normalisation import unit
from rt_tf.network.recipe import Recipe, Value
from rt_tf.network.steps import Call, Step


def multiply(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of the product of values that broadcast against each other."""
    recipe = Recipe(call)
    return recipe.steps(recipe.multiplied(*recipe.inputs))


def dot(layer: Any, call: Call) -> list[Step]:
    """The steps of products summed along an axis of each of two values.

    UserError for the batch's axis.
    """
    recipe = Recipe(call)
    axes = [layer.axes] * 2 if isinstance(layer.axes, int) else list(layer.axes)
    pairs = list(zip(axes, recipe.inputs, strict=True))
    places = [axis % (len(value.shape) + 1) - 1 for axis, value in pairs]
    if -1 in places:
        raise UserError(
            f"layer '{layer.name}': expected axes other than the batch's; received {layer.axes}"
        )
    values = [
        unit(recipe, value, [place], 1e-12) if layer.normalize else value
        for place, value in zip(places, recipe.inputs, strict=True)
    ]
    product = recipe.contracted(_equation(places, values), values[0], values[1])
    return recipe.steps(product if product.shape else recipe.reshaped(product, (1,)))


def _equation(places: Sequence[int], values: Sequence[Value]) -> str:
    """The equation of a sum along one axis of each value: the others stay, in order."""
    first = string.ascii_lowercase[: len(values[0].shape)]
    second = list(string.ascii_lowercase[len(first) : len(first) + len(values[1].shape)])
    second[places[1]] = first[places[0]]
    rest = [x for x in (*first, *second) if x != first[places[0]]]
    return f"{first},{''.join(second)}->{''.join(rest)}"
