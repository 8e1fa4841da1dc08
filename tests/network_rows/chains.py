"""Small Keras models that end in logits, from their layers."""

from collections.abc import Callable

import keras

L = keras.layers
SHAPE = (4, 4, 2)
CLASSES = 3


def chain(*layers: keras.layers.Layer, shape: tuple[int, ...] = SHAPE) -> keras.Model:
    """A Sequential model with logits at its end."""
    return keras.Sequential([L.Input(shape), *layers, L.Flatten(), L.Dense(CLASSES)])


def functional(wire: Callable, shape: tuple[int, ...] = SHAPE) -> keras.Model:
    """A functional model: `wire` takes the input to the tensor that the logits are read from."""
    start = keras.Input(shape)
    return keras.Model(start, L.Dense(CLASSES)(L.Flatten()(wire(start))))


def conv(**options) -> keras.layers.Layer:
    return L.Conv2D(3, 3, **{"padding": "same", **options})
