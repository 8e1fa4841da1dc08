"""Operands of operations: values computed from the network's input, and constants."""

from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.network.recipe import Recipe, Value
from rt_tf.network.steps import Call, Slot

Operand: TypeAlias = Value | Tensor


def operands(operation: keras.Operation, call: Call, recipe: Recipe) -> list[Operand]:
    """The values and the constants, in float32, that an operation is called on, in order."""
    return [
        recipe.inputs[leaf.number] if isinstance(leaf, Slot) else constant(operation, leaf)
        for leaf in call.arguments.args
        if leaf is not None
    ]


def constant(operation: keras.Operation, leaf: Any) -> Tensor:
    """A number or an array of any shape in float32; UserError for what is none."""
    try:
        return tf.cast(tf.convert_to_tensor(leaf), tf.float32)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"operation '{operation.name}': expected numbers beside what is computed from the "
            f"network's input; received {type(leaf).__name__}"
        ) from error


def beside(operation: keras.Operation, constants: Tensor, value: Value) -> Tensor:
    """Constants as they broadcast against one example of a value, whose batch has an axis.

    constants: of any shape, with or without a batch of one. UserError for constants that differ by
    example.
    """
    rank = len(value.shape) + 1
    if constants.shape.rank < rank:
        return constants
    if constants.shape.rank > rank or constants.shape[0] != 1:
        raise UserError(
            f"operation '{operation.name}': expected constants for each example alike; received "
            f"some of shape {tuple(constants.shape)} beside {(None, *value.shape)}"
        )
    return tf.squeeze(constants, axis=0)


def axes_of(operation: keras.Operation, axis: Any, rank: int) -> list[int]:
    """Axes, counted without the batch's, from a setting; UserError where the batch's is among them.

    rank: of the value, with the batch.
    """
    chosen = range(rank) if axis is None else np.atleast_1d(np.asarray(axis)).tolist()
    axes = sorted(k % rank - 1 for k in chosen)
    if -1 in axes:
        raise UserError(
            f"operation '{operation.name}': expected axes other than the batch's; received "
            f"axis={axis}"
        )
    return axes
