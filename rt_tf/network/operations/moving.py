"""Operations that move numbers about: to other places, some of them several times or not at all."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.ops import Affine, Positive, Tensor
from rt_tf.network.recipe import Recipe
from rt_tf.network.steps import Call, Step

MOST = 2**22  # numbers of an example whose places float32 still counts exactly


def moved(operation: keras.Operation, call: Call) -> list[Step]:
    """The step of an operation that moves the numbers of every example in the same way.

    UserError where it does not: it moves numbers from one example to another, or computes.
    """
    recipe = Recipe(call)

    def move(*inputs: Tensor) -> Tensor:
        args, kwargs = call.arguments.filled(inputs)
        return keras.tree.flatten(operation(*args, **kwargs))[call.part]

    with tf.init_scope():
        places, constants = _places(operation, call, move)
    shape = places.shape
    uses = int(np.bincount(places.ravel())[1:].max(initial=1))
    if not constants.any():
        return recipe.steps(recipe.add(Positive(move, uses), *recipe.inputs, shape=shape))
    bias = tf.constant(constants)
    (value,) = recipe.inputs

    def linear(x: Tensor, one: Tensor) -> Tensor:
        return one * (move(x) - bias)

    op = Affine(linear, tf.constant(1.0), bias, 1, uses, tf.abs(bias))
    return recipe.steps(recipe.add(op, value, shape=shape))


def _places(operation: keras.Operation, call: Call, move: Any) -> tuple[np.ndarray, np.ndarray]:
    """The place from which each number of an example's result is, from 1 on, 0 for a constant.

    And the constants, 0 elsewhere.
    """
    sizes = [int(np.prod(shape)) for shape in call.input_shapes]
    starts = np.cumsum([1, *sizes])
    if starts[-1] > MOST:
        raise UserError(
            f"operation '{operation.name}': expected values of at most {MOST:,} numbers; received "
            f"{starts[-1] - 1:,}"
        )
    parts = [
        np.arange(first, first + size, dtype=np.float32).reshape(1, *shape)
        for first, size, shape in zip(starts, sizes, call.input_shapes, strict=False)
    ]
    constants = np.asarray(move(*(tf.zeros([2, *shape]) for shape in call.input_shapes)))
    both = [tf.constant(np.concatenate([part, part + MOST])) for part in parts]
    here = np.asarray(move(*both)) - constants
    is_alike = here.ndim > 0 and here.shape[0] == 2 and (constants[0] == constants[1]).all()
    if not is_alike or not ((here[1] - here[0] == MOST) | (here[1] == 0) & (here[0] == 0)).all():
        raise UserError(
            f"operation '{operation.name}': expected {type(operation).__name__} to do the same to "
            f"every example by itself; received one that changes the batch"
        )
    return here[0].astype(np.int64), constants[0]
