"""Activation layers, and the `activation=` of other layers, as operations."""

from collections.abc import Callable
from typing import NoReturn

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network import functions
from rt_tf.network.ops import Activation
from rt_tf.network.relaxations import ACTIVATIONS, clipped_relu, curved, leaky_relu
from rt_tf.network.steps import Call, Step, kind_of

L = keras.layers
ROOMS = (keras.activations, keras.ops, tf.nn)  # where stock functions have their names


def activation_layer(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of a ReLU, LeakyReLU, ELU or Activation layer."""
    return [Step(op) for op in _operations(layer)]


def activation_steps(layer: keras.layers.Layer, call: Call, at: int = 1) -> list[Step]:
    """The steps of a layer's `activation=`, which reads step `at`."""
    if call.bare:
        return []
    return [Step(op, (at,)) for op in _named(layer.activation, layer.name)]


def is_softmax(activation: object) -> bool:
    """Whether a function or a layer is a softmax over the classes of [batch, classes]."""
    if not isinstance(activation, L.Softmax | L.Activation):
        return _name(activation) == "softmax"
    if kind_of(activation, [L.Softmax]) is None:
        return is_softmax(activation.activation)
    axes = activation.axis if isinstance(activation.axis, list | tuple) else [activation.axis]
    return list(axes) in ([-1], [1])


def _operations(layer: keras.layers.Layer) -> list[Activation]:
    """The operation of an activation layer; none for the identity."""
    kind = kind_of(layer, OPERATIONS)
    if kind is None:
        _refuse(layer.name, type(layer).__name__)
    return OPERATIONS[kind](layer)


def _named(activation: object, owner: str) -> list[Activation]:
    """The operation of an `activation=`: a function or a layer."""
    if isinstance(activation, keras.layers.Layer):
        return _operations(activation)
    name = _name(activation)
    if name not in ("linear", *ACTIVATIONS):
        _refuse(owner, name)
    return [] if name == "linear" else [ACTIVATIONS[name]]


def refuse_softmax(owner: str) -> NoReturn:
    """Raises UserError for a softmax that is not the network's last operation."""
    raise UserError(
        f"layer '{owner}': expected softmax as the network's last operation alone, over the "
        f"classes, where it is left out; received one elsewhere, which has no bounds"
    )


def _refuse(owner: str, name: str) -> NoReturn:
    if name.lower() == "softmax":
        refuse_softmax(owner)
    raise UserError(
        f"layer '{owner}': activation '{name}' has no relaxation, so no bounds; expected one of "
        f"linear, {', '.join(ACTIVATIONS)}"
    )


def _name(activation: object) -> str:
    """The name of a stock activation; another function of that name keeps its module's name."""
    if activation is None:
        return "linear"
    plain = getattr(activation, "__name__", type(activation).__name__)
    for name in (plain, "softmax"):  # tf.nn.softmax is called softmax_v2
        if any(activation is getattr(room, name, None) for room in ROOMS):
            return name
    return f"{getattr(activation, '__module__', 'custom')}.{plain}"


def _relu(layer: keras.layers.Layer) -> list[Activation]:
    if layer.threshold != 0.0:
        raise UserError(
            f"layer '{layer.name}': expected threshold=0; received threshold={layer.threshold}"
        )
    if layer.max_value is None:
        return _leaky_relu(layer)
    return [clipped_relu(layer.max_value, _slope(layer))]


def _leaky_relu(layer: keras.layers.Layer) -> list[Activation]:
    return [leaky_relu(_slope(layer))]


def _slope(layer: keras.layers.Layer) -> float:
    if not 0.0 <= layer.negative_slope <= 1.0:
        raise UserError(
            f"layer '{layer.name}': expected negative_slope between 0 and 1; "
            f"received negative_slope={layer.negative_slope}"
        )
    return float(layer.negative_slope)


def _elu(layer: keras.layers.Layer) -> list[Activation]:
    if not 0.0 < layer.alpha <= 1.0:
        raise UserError(
            f"layer '{layer.name}': expected alpha above 0 and at most 1, where ELU is convex; "
            f"received alpha={layer.alpha}"
        )
    return [curved(functions.elu(float(layer.alpha)))]


OPERATIONS: dict[type, Callable[[keras.layers.Layer], list[Activation]]] = {
    L.Activation: lambda layer: _named(layer.activation, layer.name),
    L.ELU: _elu,
    L.LeakyReLU: _leaky_relu,
    L.ReLU: _relu,
}
