"""Attention layers: products of queries and keys, a softmax of these, and products with values."""

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.lowerings.einsum import einsum_dense
from rt_tf.network.ops import Affine, Positive, Tensor
from rt_tf.network.recipe import Recipe, Value
from rt_tf.network.relaxations import ACTIVATIONS
from rt_tf.network.softmax import normalised
from rt_tf.network.steps import Call, Hull, Slot, Step

ROOM = 1e-4  # that the rounding of shares and of their sum may add, for each unit of the values


def multi_head_attention(layer: Any, call: Call) -> list[Step]:
    """The steps of attention by several heads, each with projections of its own."""
    recipe = Recipe(call)
    query, key, value = _by_role(layer, call, recipe)
    gates = _projected(recipe, layer._gate_dense, query) if layer._use_gate else None
    projections = layer.query_dense, layer.key_dense, layer.value_dense
    query, key, value = (
        _projected(recipe, *pair) for pair in zip(projections, (query, key, value), strict=True)
    )
    scores = recipe.contracted(
        "thd,shd->hts", recipe.scaled(query, layer._inverse_sqrt_key_dim), key
    )
    shares = normalised(recipe, scores, [2], _causal(call, scores))
    mixed = _mixed(recipe, "hts,shd->thd", shares, value)
    mixed = mixed if gates is None else recipe.multiplied(mixed, gates)
    return recipe.steps(_projected(recipe, layer.output_dense, mixed))


def grouped_query_attention(layer: Any, call: Call) -> list[Step]:
    """The steps of attention in which groups of query heads share keys and values.

    UserError for a sliding window.
    """
    if layer.sliding_window is not None:
        raise UserError(
            f"layer '{layer.name}': expected attention without a sliding window, which has no "
            f"bounds; received sliding_window={layer.sliding_window}"
        )
    recipe = Recipe(call)
    query, key, value = _by_role(layer, call, recipe)
    gates = _projected(recipe, layer._gate_dense, query) if layer.use_gate else None
    projections = layer._query_dense, layer._key_dense, layer._value_dense
    query, key, value = (
        _projected(recipe, *pair) for pair in zip(projections, (query, key, value), strict=True)
    )
    heads, repeats = layer.num_key_value_heads, layer.num_repeats
    query = recipe.reshaped(query, (query.shape[0], heads, repeats, query.shape[2]))
    query = recipe.scaled(query, 1.0 / math.sqrt(layer.head_dim))
    scores = recipe.contracted("thrd,shd->hrts", query, key)
    shares = normalised(recipe, scores, [3], _causal(call, scores))
    mixed = _mixed(recipe, "hrts,shd->thrd", shares, value)
    mixed = recipe.reshaped(mixed, (mixed.shape[0], heads * repeats, mixed.shape[3]))
    mixed = mixed if gates is None else recipe.multiplied(mixed, gates)
    return recipe.steps(_projected(recipe, layer._output_dense, mixed))


def attention(layer: Any, call: Call) -> list[Step]:
    """The steps of attention of queries to values, by products or by sums (additive)."""
    recipe = Recipe(call)
    query, value, *others = recipe.inputs
    key = others[0] if others else value
    scores = _scores(recipe, layer, query, key)
    shares = normalised(recipe, scores, [1], _causal(call, scores))
    return recipe.steps(_mixed(recipe, "ts,sd->td", shares, value))


def _scores(recipe: Recipe, layer: Any, query: Value, key: Value) -> Value:
    scale = getattr(layer, "scale", None)
    additive = isinstance(layer, keras.layers.AdditiveAttention)
    if not additive and layer.score_mode == "dot":
        scores = recipe.contracted("td,sd->ts", query, key)
        return scores if scale is None else recipe.scaled(scores, scale)
    times, places, width = query.shape[0], key.shape[0], query.shape[1]
    rows = recipe.reshaped(query, (times, 1, width))
    sums = recipe.added(rows, recipe.reshaped(key, (1, places, width)))
    if not additive and scale is not None:
        sums = recipe.scaled(sums, scale)
    bent = recipe.activated(sums, ACTIVATIONS["tanh"])
    if additive and scale is not None:
        bent = recipe.scaled(bent, scale)
    total = recipe.summed(bent, [2])
    weight = None if additive else layer.concat_score_weight
    return total if weight is None else recipe.scaled(total, weight)


def _mixed(recipe: Recipe, equation: str, shares: Value, value: Value) -> Value:
    """The values of all places, mixed in shares that add up to 1: between the least and the most.

    equation: whose letters for places and features in `value` are s, first, and h or d.
    """
    _, second = equation.split("->")[0].split(",")
    output = equation.split("->")[1]

    def least(values: Tensor) -> Tensor:
        return _in_place(tf.reduce_min(values, axis=1), second[1:], output)

    def most(values: Tensor) -> Tensor:
        return _in_place(tf.reduce_max(values, axis=1), second[1:], output)

    hull = Hull(Positive(least), (value.number,), Positive(most), ROOM)
    return recipe.contracted(equation, shares, value, hull)


def _in_place(values: Tensor, axes: str, output: str) -> Tensor:
    """Values with some axes of an output, with axes of size 1 for its others."""
    for place, letter in enumerate(output):
        if letter not in axes:
            values = tf.expand_dims(values, place + 1)
    return values


def _projected(recipe: Recipe, dense: keras.layers.EinsumDense, value: Value) -> Value:
    """The value after a projection of an attention layer."""
    steps = einsum_dense(dense, Call((value.shape,)))
    product = steps[0].op
    assert isinstance(product, Affine)
    return recipe.extend(steps, value, tuple(product(tf.zeros([1, *value.shape])).shape[1:]))


def _by_role(layer: Any, call: Call, recipe: Recipe) -> list[Value]:
    """The query, key and value of a call; the key is the value where none is given."""
    args, kwargs = call.arguments.args, call.arguments.kwargs
    roles = dict(zip(("query", "value", "key"), args, strict=False)) | kwargs
    slots = {name: slot.number for name, slot in roles.items() if isinstance(slot, Slot)}
    order = slots["query"], slots.get("key", slots["value"]), slots["value"]
    if any(len(recipe.inputs[k].shape) != 2 for k in order):
        raise UserError(
            f"layer '{layer.name}': expected sequences [batch, places, features]; received inputs "
            f"of {', '.join(str((None, *recipe.inputs[k].shape)) for k in order)}"
        )
    return [recipe.inputs[k] for k in order]


def _causal(call: Call, scores: Value) -> np.ndarray | None:
    """The mask of a call in which no place attends to a later one; None in other calls."""
    if not call.arguments.kwargs.get("use_causal_mask"):
        return None
    return np.tri(*scores.shape[-2:], dtype=bool)
