"""Keras operations (`a + b`, keras.ops.relu) as the stock layers that compute the same.

Functional models contain them beside layers. They are told apart by the names of their classes,
since keras.ops offers the functions alone.
"""

from collections.abc import Callable
from typing import Any

import keras

from rt_tf.errors import UserError

L = keras.layers


def as_layer(operation: keras.Operation, args: tuple, kwargs: dict) -> tuple[Any, Any]:
    """A layer that computes an operation, and the arguments of its call.

    UserError names an operation that no layer stands for, and one that reads constants.
    """
    make = _stand_in(operation)
    operands = _operands(operation, args, kwargs)
    dtype = keras.backend.result_type(*(x.dtype for x in operands))
    try:
        layer = make(operation, name=operation.name, dtype=dtype)
    except ValueError as error:  # settings that the layer does not take
        raise UserError(f"operation '{operation.name}': {error}") from error
    return layer, operands if isinstance(layer, L.Add | L.Concatenate) else operands[0]


def _stand_in(operation: keras.Operation) -> Callable[..., keras.layers.Layer]:
    kind = type(operation)
    if kind.__name__ not in STAND_INS or not kind.__module__.startswith("keras."):
        raise UserError(
            f"operation '{operation.name}': {kind.__name__} has no lowering, so no bounds; "
            f"expected a layer or one of the operations {', '.join(STAND_INS)}"
        )
    return STAND_INS[kind.__name__]


def _operands(operation: keras.Operation, args: tuple, kwargs: dict) -> list[keras.KerasTensor]:
    """The tensors that an operation reads."""
    values = keras.tree.flatten([args, kwargs])
    for value in values:
        if not isinstance(value, keras.KerasTensor):
            raise UserError(
                f"operation '{operation.name}': expected operands computed from the network's "
                f"input alone; received a constant of shape {tuple(getattr(value, 'shape', ()))}"
            )
    return values


def _activation(name: str) -> Callable[..., keras.layers.Layer]:
    return lambda operation, **options: L.Activation(name, **options)


STAND_INS: dict[str, Callable[..., keras.layers.Layer]] = {
    "Add": lambda operation, **options: L.Add(**options),
    "Concatenate": lambda operation, **options: L.Concatenate(operation.axis, **options),
    "Elu": lambda operation, **options: L.ELU(operation.alpha, **options),
    "HardTanh": _activation("hard_tanh"),
    "LeakyRelu": lambda operation, **options: L.LeakyReLU(operation.negative_slope, **options),
    "ReLU": lambda operation, **options: L.ReLU(
        operation.max_value, operation.negative_slope, operation.threshold, **options
    ),
    "Relu": _activation("relu"),
    "Relu6": _activation("relu6"),
    "Sigmoid": _activation("sigmoid"),
    "Softmax": lambda operation, **options: L.Softmax(operation.axis, **options),
    "Softplus": _activation("softplus"),
    "Tanh": _activation("tanh"),
}
