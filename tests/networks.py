"""Small networks that between them use every lowering: a new layer or wiring is a row here."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import pytest
from network_rows import curved, linear, products
from network_rows.chains import CLASSES, SHAPE, chain, conv, functional

from rt_tf import layers as bounded
from rt_tf import models
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring

L = keras.layers


def mostly_slow(values: list, quick: list) -> list:
    """Parameters of a test, of which only the quick ones run by default."""
    return [v if v in quick else pytest.param(v, marks=pytest.mark.slow) for v in values]


def residual(x):
    y = L.ReLU()(conv()(x))
    y = conv()(y)
    return L.ReLU()(L.Add()([y, L.Conv2D(3, 1)(x)]))


def branches(x):
    """Values read several times, by layers of several kinds, far apart."""
    a = L.ReLU()(L.Conv2D(2, 3, padding="same")(x))
    b = L.AveragePooling2D(3, 1, padding="same")(a)
    c = L.Add()([a, b, x])
    d = L.MaxPooling2D(2)(L.Add()([c, c]))
    e = L.AveragePooling2D(2)(a)
    return L.Add()([L.ReLU()(d), e, d])


def shared_normalization(x):
    normalize = L.BatchNormalization()
    y = L.ReLU()(normalize(L.Conv2D(2, 3, padding="same")(x)))
    return L.ReLU()(normalize(L.Conv2D(2, 3, padding="same")(y)))


def nested(x):
    """A Sequential and a functional model within, the latter called twice."""
    inner = keras.Sequential([L.Input((4, 4, 2)), L.Conv2D(2, 3, padding="same"), L.ReLU()])
    start = keras.Input((4, 4, 2))
    block = keras.Model(start, L.Add()([start, L.ReLU()(L.Dense(2)(inner(start)))]))
    return block(block(x))


def joined(x):
    """Concatenations along every axis, of values read twice among them."""
    y = L.Conv2D(2, 3, padding="same", activation="relu")(x)
    wide = L.Concatenate(axis=-2)([y, x])
    tall = L.Concatenate(axis=1)([wide, wide])
    return L.ReLU()(conv()(L.Concatenate()([tall, L.AveragePooling2D(3, 1, "same")(tall)])))


def broadcast(x):
    """A sum of images, of one value for each channel, and of one for each row."""
    y = L.Conv2D(2, 3, padding="same")(x)
    rows = L.MaxPooling2D((1, 4))(y)
    return L.ReLU()(L.Add()([y, L.GlobalAveragePooling2D(keepdims=True)(x), rows]))


def operations(x):
    """Operations that functional models contain beside layers, some of them in a model within."""
    start = keras.Input((4, 4, 2))
    inner = keras.Model(start, keras.ops.relu(L.Dense(2)(start) + start))
    y = keras.activations.leaky_relu(L.Conv2D(2, 3, padding="same")(x), 0.1)
    y = keras.ops.add(inner(inner(y)), keras.ops.elu(y, alpha=0.5))
    both = keras.ops.concatenate([keras.activations.relu(y, max_value=0.5), y], axis=-1)
    return keras.ops.relu6(conv()(both)) + keras.activations.hard_tanh(conv()(both))


def smooth_operations(x):
    y, z = (L.Conv2D(2, 3, padding="same")(x) for _ in range(2))
    return keras.ops.sigmoid(y) + keras.ops.tanh(z) + keras.ops.softplus(y)


def adapted(x):
    normalization = L.Normalization()
    normalization.adapt(np.random.default_rng(5).random((40, *SHAPE), np.float32))
    return L.ReLU()(conv()(normalization(x)))


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "affine": lambda: chain(),
    "affine_deep": lambda: chain(conv(), L.BatchNormalization(), L.AveragePooling2D(2)),
    "dense": lambda: chain(L.Flatten(), L.Dense(6, activation="relu"), L.Dense(5), L.ReLU()),
    "dense_without_bias": lambda: chain(L.Flatten(), L.Dense(6, "relu", use_bias=False)),
    "dense_on_channels": lambda: chain(L.Dense(3), L.Activation("relu")),
    "conv_same": lambda: chain(conv(activation="relu"), conv(activation="relu")),
    "conv_valid": lambda: chain(conv(padding="valid", use_bias=False), L.ReLU()),
    "conv_strided": lambda: chain(conv(strides=2), L.ReLU(), conv(strides=2), L.ReLU()),
    "conv_strided_valid": lambda: chain(
        L.Conv2D(3, (3, 2), strides=(2, 1)), L.ReLU(), shape=(6, 5, 1)
    ),
    "conv_4x4": lambda: chain(
        L.Conv2D(6, 4, strides=2, padding="same", activation="relu"),
        L.Conv2D(3, 4, strides=2, padding="same", activation="relu"),
        shape=(7, 6, 1),
    ),
    "conv_dilated": lambda: chain(conv(dilation_rate=2), L.ReLU(), shape=(5, 5, 2)),
    "conv_grouped": lambda: chain(
        L.Conv2D(4, 3, strides=2, padding="same", groups=2, activation="relu"),
        L.Conv2D(8, (1, 2), groups=4, use_bias=False),
        L.ReLU(),
        shape=(5, 6, 2),
    ),
    "affine_groups": lambda: chain(
        L.DepthwiseConv2D((3, 2), depth_multiplier=2, padding="same"),
        L.Conv2D(6, 3, padding="same", groups=2, dilation_rate=(1, 2)),
        L.DepthwiseConv2D(3, strides=2, use_bias=False),
        shape=(5, 6, 2),
    ),
    "depthwise": lambda: chain(
        L.DepthwiseConv2D(3, activation="relu"),
        L.DepthwiseConv2D(2, depth_multiplier=3, padding="same", dilation_rate=2),
        L.ReLU(),
        L.DepthwiseConv2D(3, strides=2, padding="same", dilation_rate=(2, 1)),
        L.ReLU(),
        shape=(7, 6, 2),
    ),
    "batch_norm": lambda: chain(
        conv(),
        L.BatchNormalization(),
        L.ReLU(),
        L.Flatten(),
        L.Dense(5),
        L.BatchNormalization(),
        L.ReLU(),
    ),
    "batch_norm_bare": lambda: chain(
        conv(), L.BatchNormalization(scale=False, center=False), L.ReLU()
    ),
    "batch_norm_shared": lambda: functional(shared_normalization),
    "zero_padding": lambda: chain(
        L.ZeroPadding2D(((1, 0), (2, 1))), conv(padding="valid"), L.ReLU()
    ),
    "reshape": lambda: chain(
        L.Reshape((8, 4, 1)), conv(), L.ReLU(), L.Reshape((-1, 6)), L.Dense(2)
    ),
    "residual": lambda: functional(residual),
    "branches": lambda: functional(branches),
    "nested": lambda: functional(nested),
    "concatenate": lambda: functional(joined),
    "add_broadcast": lambda: functional(broadcast),
    "operations": lambda: functional(operations),
    "smooth_operations": lambda: functional(smooth_operations),
    "average_pool": lambda: chain(conv(), L.ReLU(), L.AveragePooling2D(2), conv(), L.ReLU()),
    "average_pool_overlapping": lambda: chain(
        conv(), L.AveragePooling2D(3, 2, padding="same"), L.ReLU()
    ),
    "global_average_pool": lambda: chain(conv(), L.ReLU(), L.GlobalAveragePooling2D()),
    "global_average_pool_keepdims": lambda: chain(
        conv(), L.ReLU(), L.GlobalAveragePooling2D(keepdims=True), conv(), L.ReLU()
    ),
    "max_pool": lambda: chain(conv(), L.MaxPooling2D(2), conv(), L.ReLU()),
    "max_pool_overlapping": lambda: chain(conv(), L.ReLU(), L.MaxPooling2D(3, 2), shape=(5, 5, 2)),
    "max_pool_odd": lambda: chain(L.MaxPooling2D((1, 3), (2, 1)), conv(), L.ReLU()),
    "max_pool_same": lambda: chain(
        L.MaxPooling2D((2, 3), 2, padding="same"),
        conv(),
        L.MaxPooling2D((4, 2), 1, padding="same"),
        shape=(6, 5, 2),
    ),
    "global_max_pool": lambda: chain(conv(), L.GlobalMaxPooling2D()),
    "global_max_pool_keepdims": lambda: chain(
        L.ReLU(), L.GlobalMaxPooling2D(keepdims=True), conv(), L.ReLU(), shape=(3, 3, 2)
    ),
    "dropout": lambda: chain(conv(), L.ReLU(), L.Dropout(0.5)),
    "normalization": lambda: chain(
        L.Normalization(mean=[0.4, 0.5], variance=[0.04, 0.09]), conv(), L.ReLU()
    ),
    "normalization_adapted": lambda: functional(adapted),
    "normalization_scalar": lambda: chain(
        L.Normalization(axis=None, mean=0.4, variance=0.04), conv(), L.ReLU()
    ),
    "rescaling": lambda: chain(L.Rescaling(2, -1), conv(), L.ReLU()),
    "rescaling_channels": lambda: chain(
        L.Rescaling([2.0, -3.0], [[[-1.0, 0.5]]]), conv(), L.ReLU()
    ),
    "leaky_relu": lambda: chain(
        conv(), L.LeakyReLU(0.1), conv(activation="leaky_relu"), L.ReLU(negative_slope=0.5)
    ),
    "bent": lambda: chain(
        conv(),
        L.ReLU(max_value=0.5),
        conv(activation="hard_tanh"),
        L.ReLU(0.5, 0.1),
        conv(),
        L.Activation("relu6"),
    ),
    "s_shaped": lambda: chain(conv(activation="sigmoid"), conv(), L.Activation("tanh")),
    "convex": lambda: chain(conv(activation="softplus"), conv(activation="elu"), L.ELU(0.5)),
    "activations_that_are_layers": lambda: chain(
        conv(activation=L.LeakyReLU(0.3)), L.Dense(4, activation=L.ReLU(0.5)), L.Activation(L.ELU())
    ),
    "relu_first_and_last": lambda: keras.Sequential(
        [L.Input(SHAPE), L.ReLU(), conv(), L.ReLU(), L.Flatten(), L.Dense(CLASSES), L.ReLU()]
    ),
    "catalogued": lambda: models.build(
        "digits_cnn", (4, 4, 1), CLASSES, normalization=([0.3], [0.4]), batch_norm=True
    ),
    "bounded_layers": lambda: chain(
        bounded.Conv2D(3, 3, padding="same"), bounded.MaxPooling2D(2), bounded.ReLU()
    ),
}
NETWORKS |= curved.ROWS | linear.ROWS | products.ROWS
AFFINE = ["affine", "affine_deep", "affine_groups"]
LONG = curved.LONG | linear.LONG | products.LONG  # rows that the quick tests leave to the slow ones
ROUGH = products.ROUGH  # rows whose rounding grows
DEEP = products.DEEP  # rows of so many operations that some methods alone are tried
EVERY = [pytest.param(n, marks=[pytest.mark.slow] * (n in LONG)) for n in NETWORKS]


def randomize(model: keras.Model, seed: int = 0) -> keras.Model:
    """Draws all weights, batch normalisation's statistics and signs of scale included."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if weight.name in ("count", "mean", "variance"):  # of Normalization
            continue
        fan_in = max(1, int(np.prod(weight.shape[:-1])))
        scale = 1.5 / np.sqrt(fan_in) if len(weight.shape) > 1 else 0.3
        value = scale * rng.standard_normal(weight.shape)
        if weight.name == "moving_variance":
            value = 0.5 + rng.random(weight.shape)
        if weight.name == "gamma":
            value += np.where(rng.random(weight.shape) < 0.3, -1.0, 1.0)
        weight.assign(value.astype(np.float32))
    return model


def build(name: str, seed: int = 0) -> keras.Model:
    """A new model of the table with random weights."""
    return randomize(NETWORKS[name](), seed)


@functools.cache
def known(name: str) -> tuple[keras.Model, Wiring]:
    """A model of the table and its wiring, made once: not to be changed."""
    model = build(name)
    return model, trace(model)


def images(shape: tuple[int, ...], count: int = 3, seed: int = 1) -> np.ndarray:
    """Random images, some of their pixels at the ends of the pixel range."""
    x = np.random.default_rng(seed).random((count, *shape), np.float32) * 1.2 - 0.1
    return np.clip(x, 0.0, 1.0).astype(np.float32)
