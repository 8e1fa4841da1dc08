"""Keras operations (`a + b`, keras.ops.relu) as the stock layers that compute the same.

Functional models contain them beside layers. Others than these, and those that read constants, have
lowerings of their own (`operations/`).
"""

from collections.abc import Callable

import keras

from rt_tf.errors import UserError

L = keras.layers


def as_layer(
    operation: keras.Operation, args: tuple, kwargs: dict
) -> tuple[keras.layers.Layer, object] | None:
    """A layer that computes an operation, and what it is called on; None where none stands for it.

    UserError names an operation whose settings the layer does not take.
    """
    kind, operands = type(operation), keras.tree.flatten([args, kwargs])
    is_known = kind.__name__ in STAND_INS and kind.__module__.startswith("keras.")
    is_known = is_known and not isinstance(operation, L.Layer)
    if not is_known or not all(isinstance(x, keras.KerasTensor) for x in operands):
        return None
    dtype = keras.backend.result_type(*(x.dtype for x in operands))
    try:
        layer = STAND_INS[kind.__name__](operation, name=operation.name, dtype=dtype)
    except ValueError as error:  # settings that the layer does not take
        raise UserError(f"operation '{operation.name}': {error}") from error
    return layer, operands if isinstance(layer, L.Add | L.Concatenate) else operands[0]


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
