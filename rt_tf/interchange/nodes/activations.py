"""ONNX nodes of one value that act on each number by itself."""

from collections.abc import Callable

import keras
import numpy as np

from rt_tf.interchange.nodes.call import Call
from rt_tf.interchange.nodes.scaling import scaled
from rt_tf.interchange.nodes.values import Value

L = keras.layers


def by_number(make: Callable[[Call], Callable]) -> Callable[[Call], Value]:
    """A conversion by a layer, or an operation of keras.ops, that a function of the call gives."""

    def apply(call: Call) -> Value:
        value = call.value()
        return Value(make(call)(value.tensor), value.positions)

    return apply


def named(name: str) -> Callable[[Call], Value]:
    """A conversion by an activation of keras.activations."""
    return by_number(lambda call: L.Activation(name))


def operation(op: Callable) -> Callable[[Call], Value]:
    """A conversion by an operation of keras.ops."""
    return by_number(lambda call: op)


def negation(call: Call) -> Value:
    """The value times -1."""
    return scaled(call.value(), -1.0)


def celu(call: Call) -> Value:
    """The value alpha elu(x / alpha)."""
    alpha = call.settings.get("alpha", 1.0)
    if alpha == 1.0:
        return _on(call.value(), L.ELU(1.0))
    return scaled(_on(scaled(call.value(), 1.0 / alpha), L.ELU(1.0)), alpha)


def selu(call: Call) -> Value:
    """The value gamma elu(x), of another alpha than 1."""
    alpha = call.settings.get("alpha", 1.67326319217681884765625)
    gamma = call.settings.get("gamma", 1.05070102214813232421875)
    if np.allclose([alpha, gamma], [1.6732632, 1.0507010], rtol=1e-6):
        return _on(call.value(), L.Activation("selu"))
    return scaled(_on(call.value(), L.ELU(alpha)), gamma)


def swish(call: Call) -> Value:
    """The value x sigmoid(alpha x)."""
    alpha = call.settings.get("alpha", 1.0)
    if alpha == 1.0:
        return _on(call.value(), L.Activation("silu"))
    return scaled(_on(scaled(call.value(), alpha), L.Activation("silu")), 1.0 / alpha)


def gelu(call: Call) -> Value:
    """The value x Phi(x), with Phi the normal distribution, or its approximation by tanh."""
    if call.settings.get("approximate", "none") == "none":
        return _on(call.value(), L.Activation("gelu"))
    return _on(call.value(), lambda tensor: keras.ops.gelu(tensor, approximate=True))


def hard_sigmoid(call: Call) -> Value:
    """The value alpha x + beta, cut to [0, 1]."""
    line = scaled(call.value(), call.settings.get("alpha", 0.2), call.settings.get("beta", 0.5))
    return _on(line, L.ReLU(max_value=1.0))


def clip(call: Call) -> Value:
    """The value cut to an interval, whose ends are settings in old files and operands in new."""
    least, most = _end(call, 1, "min", -np.inf), _end(call, 2, "max", np.inf)
    if least > most:
        raise call.refusal("a least value up to the largest", f"{least:g} and {most:g}")
    return cut(call.value(), least, most)


def cut(value: Value, least: float, most: float) -> Value:
    """The value cut to an interval, of which either end may be infinite."""
    if least == 0.0:
        return _on(value, L.ReLU(max_value=None if most == np.inf else most))
    if most == np.inf:
        return value if least == -np.inf else _on(value, lambda x: keras.ops.maximum(x, least))
    if least == -np.inf:
        return _on(value, lambda x: keras.ops.minimum(x, most))
    return _on(value, lambda x: keras.ops.clip(x, least, most))


def leaky_relu(call: Call) -> Value:
    """The value where it is positive, else a share of it."""
    return sloped(call.value(), np.array(call.settings.get("alpha", 0.01), np.float32))


def prelu(call: Call) -> Value:
    """The value where it is positive, else a share of it, of each number or channel its own."""
    return sloped(call.value(), call.finite(1))


def sloped(value: Value, slope: np.ndarray) -> Value:
    """The value where it is positive, else times a slope [any shape that broadcasts against it]."""
    laid = value.laid(slope)
    if laid.ndim == 0 and laid >= 0.0:
        return _on(value, L.LeakyReLU(float(laid)))
    sizes = tuple(value.tensor.shape[1:])
    shared = None if laid.shape == sizes else list(range(1, len(sizes)))
    layer = L.PReLU(shared_axes=shared or None)
    result = Value(layer(value.tensor), value.positions)
    layer.set_weights([np.broadcast_to(laid, layer.alpha.shape)])
    return result


def _on(value: Value, make: Callable) -> Value:
    return Value(make(value.tensor), value.positions)


def _end(call: Call, i: int, name: str, default: float) -> float:
    if call.has(i):
        return float(np.ravel(call.constant(i))[0])
    return float(call.settings.get(name, default))
