"""Networks with activations that bend: smooth ones, and straight pieces of any slopes."""

import functools
from collections.abc import Callable

import keras

from network_rows.chains import chain, conv, functional

L = keras.layers
A = keras.activations
K = keras.ops


def above_zero(x):
    """Functions of positive values, which softplus and a shift give."""
    y = L.Rescaling(1.0, 0.5)(conv(activation="softplus")(x))
    parts = [L.Activation(f)(y) for f in (K.reciprocal, K.rsqrt, K.sqrt, K.log)]
    return L.Add()(parts)


def by_unit(x):
    """PReLUs with slopes of every kind, of each unit by itself, of channels, and of one number."""
    y = L.PReLU(shared_axes=[1, 2])(conv()(x))
    z = L.PReLU()(conv()(y))
    return L.PReLU(shared_axes=[1, 2, 3])(L.Add()([y, z]))


ROWS: dict[str, Callable[[], keras.Model]] = {
    "curved": lambda: chain(
        conv(activation="gelu"), L.PReLU(shared_axes=[1, 2]), conv(activation="hard_silu")
    ),
    "gated": lambda: chain(
        conv(activation="silu"), conv(activation="mish"), conv(activation="gelu")
    ),
    "gated_otherwise": lambda: chain(
        conv(activation=functools.partial(A.gelu, approximate=True)), conv(activation="hard_swish")
    ),
    "exponential": lambda: chain(
        conv(activation="exponential"),
        conv(activation="selu"),
        conv(activation=L.ELU(2.0)),
        conv(activation="celu"),
    ),
    "s_shaped_too": lambda: chain(
        conv(activation=K.erf), conv(activation="softsign"), conv(activation="log_sigmoid")
    ),
    "by_unit": lambda: functional(by_unit),
    "slopes_of_any_sign": lambda: chain(
        conv(activation=L.LeakyReLU(1.5)),
        conv(activation=functools.partial(A.leaky_relu, negative_slope=-0.5)),
        conv(activation=functools.partial(A.relu, negative_slope=-0.3, max_value=0.6)),
        conv(activation=L.ReLU(0.5, 1.5)),
    ),
    "hard": lambda: chain(
        conv(activation="hard_sigmoid"), conv(activation="sparse_sigmoid"), conv(activation=K.abs)
    ),
    "shrinking": lambda: chain(
        conv(activation="soft_shrink"),
        conv(activation="sparse_plus"),
        conv(activation="tanh_shrink"),
    ),
    "waves": lambda: chain(conv(activation=K.sin), conv(activation=K.cos)),
    "squares": lambda: chain(conv(activation=K.square), conv(activation="tanh")),
    "above_zero": lambda: functional(above_zero),
}
LONG = set(ROWS) - {"curved"}
