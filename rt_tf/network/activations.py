"""Activation layers, and the `activation=` of other layers, as operations."""

import functools
import inspect
import math
from collections.abc import Callable
from typing import NoReturn

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network import softmax
from rt_tf.network.curves import exponentials
from rt_tf.network.ops import Activation
from rt_tf.network.recipe import Recipe
from rt_tf.network.relaxations import (
    ACTIVATIONS,
    APPROXIMATE_GELU,
    FUNCTIONS,
    clipped_relu,
    curved,
    kinked,
    leaky_relu,
)
from rt_tf.network.steps import Call, Step, kind_of

L = keras.layers
ROOMS = (keras.activations, keras.ops, tf.nn)  # where stock functions have their names


def activation_layer(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of a ReLU, LeakyReLU, PReLU, ELU or Activation layer."""
    function = layer.activation if isinstance(layer, L.Activation) else layer
    return _softmax_steps(function, call.input_shapes[0], 0) or [
        Step(op) for op in _operations(layer)
    ]


def activation_steps(layer: keras.layers.Layer, call: Call, at: int = 1) -> list[Step]:
    """The steps of a layer's `activation=`, which reads step `at`."""
    if call.bare:
        return []
    shape = layer.compute_output_shape((None, *call.input_shapes[0]))[1:]
    return _softmax_steps(layer.activation, tuple(shape), at) or [
        Step(op, (at,)) for op in _named(layer.activation, layer.name)
    ]


def _softmax_steps(activation: object, shape: tuple[int, ...], at: int) -> list[Step]:
    """The steps of a softmax over the last axis, or of its logarithm; none of other functions.

    shape: of the value, which is step `at`.
    """
    make = {"softmax": softmax.normalised, "log_softmax": softmax.logarithms}.get(
        ending(activation) or ""
    )
    if make is None:
        return []
    recipe = Recipe(Call((shape,)))
    steps = recipe.steps(make(recipe, recipe.inputs[0], [len(shape) - 1]))
    return [step.renumbered(range(at, at + len(steps) + 1)) for step in steps]


def ending(activation: object) -> str | None:
    """The name of a softmax over the last axis, of its logarithm, or of a sigmoid; else None.

    activation: a function, a layer or an operation of Keras.
    """
    if isinstance(activation, L.Activation):
        return ending(activation.activation)
    if isinstance(activation, L.Softmax):
        kind_of(activation, [L.Softmax])
        return "softmax" if _is_last(activation.axis) else None
    if isinstance(activation, keras.Operation):
        is_log = type(activation).__name__ == "LogSoftmax" and _is_last(activation.axis)
        return "log_softmax" if is_log else None
    name = stock_name(activation)
    return name if name in ("softmax", "log_softmax", "sigmoid") else None


def _is_last(axis: object) -> bool:
    """Whether an axis, or the only one of several, is the last one, by its number from the end."""
    return (list(axis) if isinstance(axis, list | tuple) else [axis]) == [-1]


def _operations(layer: keras.layers.Layer) -> list[Activation]:
    """The operation of an activation layer; none for the identity."""
    kind = kind_of(layer, OPERATIONS)
    if kind is None:
        _refuse(layer.name, type(layer).__name__)
    return OPERATIONS[kind](layer)


def _named(activation: object, owner: str) -> list[Activation]:
    """The operation of an `activation=`: a function, one with settings, or a layer."""
    if isinstance(activation, keras.layers.Layer):
        return _operations(activation)
    if isinstance(activation, functools.partial):
        return [_with_settings(activation, owner)]
    name, known = stock_name(activation), ACTIVATIONS | FUNCTIONS
    name = ALIASES.get(name, name)
    if name not in ("linear", *known):
        _refuse(owner, name)
    if activation is keras.ops.gelu:  # unlike keras.activations.gelu
        return [APPROXIMATE_GELU]
    return [] if name == "linear" else [known[name]]


def _with_settings(activation: functools.partial, owner: str) -> Activation:
    """The operation of a stock function with settings by name."""
    name = stock_name(activation.func)
    make = SETTINGS.get(name)
    if make is None or activation.args:
        _refuse(owner, f"functools.partial of {name}")
    parameters = inspect.signature(make).parameters
    if activation.func is not getattr(keras.activations, name) or not parameters.keys() >= (
        activation.keywords.keys()
    ):
        _refuse(owner, f"functools.partial of {name}")
    return make(owner, **activation.keywords)


def _refuse(owner: str, name: str) -> NoReturn:
    reason = f" ({REASONS[name]})" if name in REASONS else ""
    raise UserError(
        f"layer '{owner}': activation '{name}' has no relaxation{reason}, so no bounds; expected "
        f"one of linear, {', '.join(ACTIVATIONS)}"
    )


def stock_name(activation: object) -> str:
    """The name of a stock activation; another function of that name keeps its module's name."""
    if activation is None:
        return "linear"
    plain = getattr(activation, "__name__", type(activation).__name__)
    for name in (plain, "softmax"):  # tf.nn.softmax is called softmax_v2
        if any(activation is getattr(room, name, None) for room in ROOMS):
            return name
    return f"{getattr(activation, '__module__', 'custom')}.{plain}"


def _relu(
    owner: str,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Activation:
    if threshold != 0.0:
        raise UserError(
            f"layer '{owner}': expected threshold=0, as a ReLU with another one jumps there; "
            f"received threshold={threshold}"
        )
    if max_value is None:
        return leaky_relu(float(negative_slope))
    return clipped_relu(float(max_value), float(negative_slope))


def _leaky_relu(owner: str, negative_slope: float = 0.2) -> Activation:
    return leaky_relu(float(negative_slope))


def _elu(owner: str, alpha: float = 1.0) -> Activation:
    return curved(exponentials.elu(_above_zero(owner, alpha)))


def _celu(owner: str, alpha: float = 1.0) -> Activation:
    return curved(exponentials.celu(_above_zero(owner, alpha)))


def _gelu(owner: str, approximate: bool = False) -> Activation:
    return APPROXIMATE_GELU if approximate else ACTIVATIONS["gelu"]


def _above_zero(owner: str, alpha: float) -> float:
    if not 0.0 < alpha < math.inf:
        raise UserError(f"layer '{owner}': expected alpha above 0; received alpha={alpha}")
    return float(alpha)


ALIASES = {"swish": "silu", "hard_swish": "hard_silu"}

# Stock functions of keras.activations with settings, by name: (owner, settings) -> operation.
SETTINGS: dict[str, Callable[..., Activation]] = {
    "celu": _celu,
    "elu": _elu,
    "gelu": _gelu,
    "leaky_relu": _leaky_relu,
    "relu": _relu,
}

OPERATIONS: dict[type, Callable[[keras.layers.Layer], list[Activation]]] = {
    L.Activation: lambda layer: _named(layer.activation, layer.name),
    L.ELU: lambda layer: [_elu(layer.name, layer.alpha)],
    L.LeakyReLU: lambda layer: [_leaky_relu(layer.name, layer.negative_slope)],
    L.PReLU: lambda layer: [kinked(tf.convert_to_tensor(layer.alpha))],
    L.ReLU: lambda layer: [
        _relu(layer.name, layer.negative_slope, layer.max_value, layer.threshold)
    ],
}

# Stock activations without lines, and why.
REASONS = {
    "glu": "it multiplies units",
    "hard_shrink": "it jumps",
    "log_softmax": "it mixes units",
    "sparsemax": "it mixes units",
    "squareplus": "its rounding is not bounded by its value",
    "threshold": "it jumps",
}
