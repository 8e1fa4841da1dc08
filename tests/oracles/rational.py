"""Keras models in exact rational arithmetic, layer by layer: arrays of `fractions.Fraction`.

Weights are the rational numbers that their float32 values are. Written against the definition of
each layer, from the model's own wiring; every layer must be called once.
"""

import math
from collections.abc import Callable
from fractions import Fraction

import keras
import numpy as np

L = keras.layers
Array = np.ndarray  # of Fraction, [points, ...]
Normalise = Callable[[L.BatchNormalization, Array], Array]
BITS = 200  # of a square root: far more than any float can tell apart


def exactly(values) -> Array:
    """The rational numbers that floats are."""
    values = np.asarray(values)
    flat = [Fraction(float(value)) for value in values.ravel()]
    return np.array([*flat, None], dtype=object)[:-1].reshape(values.shape)


def evaluate(model: keras.Model, points: Array, normalise: Normalise) -> Array:
    """Logits at points [points, ...]. normalise: what batch normalisation is taken to compute."""
    values = {id(model.inputs[0]): points}
    for layer in model.layers:
        if isinstance(layer, L.InputLayer):
            continue
        inputs = layer.input if isinstance(layer.input, list) else [layer.input]
        arguments = [values[id(tensor)] for tensor in inputs]
        if isinstance(layer, L.BatchNormalization):
            value = normalise(layer, arguments[0])
        else:
            value = LAYERS[type(layer)](layer, *arguments)
        values[id(layer.output)] = _activated(layer, value)
    return values[id(model.outputs[0])]


def by_definition(layer: L.BatchNormalization, x: Array) -> Array:
    """gamma (x - mean) / sqrt(variance + epsilon) + beta, the root to 200 bits."""
    gamma, beta, mean, variance = map(exactly, layer.get_weights())
    epsilon = Fraction(float(layer.epsilon))
    root = np.array([_root(v + epsilon) for v in variance])
    return gamma * (x - mean) / root + beta


def folded(layer: L.BatchNormalization, x: Array) -> Array:
    """scale x + shift with both rounded to float32, as a server may store them."""
    gamma, beta, mean, variance = (w.astype(np.float64) for w in layer.get_weights())
    scale = (gamma / np.sqrt(variance + layer.epsilon)).astype(np.float32)
    shift = (beta - mean * scale.astype(np.float64)).astype(np.float32)
    return x * exactly(scale) + exactly(shift)


def by_keras(layer: L.BatchNormalization, x: Array) -> Array:
    """The layer's own output for the values, rounded to float32 before."""
    return exactly(layer(x.astype(np.float32)).numpy())


def _root(value: Fraction) -> Fraction:
    scaled = (value.numerator << 2 * BITS) // value.denominator
    return Fraction(math.isqrt(scaled), 1 << BITS)


def _activated(layer: L.Layer, value: Array) -> Array:
    name = getattr(getattr(layer, "activation", None), "__name__", "linear")
    if name not in ("linear", "relu"):
        raise ValueError(f"layer '{layer.name}': expected linear or relu; received {name}")
    return np.maximum(value, Fraction(0)) if name == "relu" else value


def _biased(layer: L.Layer, value: Array) -> Array:
    return value + exactly(layer.bias) if layer.use_bias else value


def _dense(layer: L.Dense, x: Array) -> Array:
    return _biased(layer, x @ exactly(layer.kernel))


def _conv2d(layer: L.Conv2D, x: Array) -> Array:
    kernel = exactly(layer.kernel)
    places = _windows(x, kernel.shape[:2], layer.strides, layer.padding, Fraction(0))
    return _biased(layer, np.tensordot(places, kernel, axes=3))


def _average_pooling(layer: L.AveragePooling2D, x: Array) -> Array:
    """Means over what of each window lies in the image."""
    size, strides, padding = layer.pool_size, layer.strides, layer.padding
    sums = _windows(x, size, strides, padding, Fraction(0)).sum(axis=(3, 4))
    ones = np.full_like(x, Fraction(1))
    return sums / _windows(ones, size, strides, padding, Fraction(0)).sum(axis=(3, 4))


def _max_pooling(layer: L.MaxPooling2D, x: Array) -> Array:
    return _windows(x, layer.pool_size, layer.strides, layer.padding, x.min()).max(axis=(3, 4))


def _windows(x: Array, size, strides, padding: str, outside: Fraction) -> Array:
    """[points, h, w, c] -> [points, rows, columns, *size, c], padded as TensorFlow pads."""
    if padding == "same":
        around = [
            _same_padding(length, window, stride)
            for length, window, stride in zip(x.shape[1:3], size, strides, strict=True)
        ]
        x = np.pad(x, [(0, 0), *around, (0, 0)], constant_values=outside)
    windows = np.lib.stride_tricks.sliding_window_view(x, size, axis=(1, 2))
    windows = windows[:, :: strides[0], :: strides[1]]  # [points, rows, columns, c, *size]
    return np.moveaxis(windows, 3, -1)


def _same_padding(length: int, window: int, stride: int) -> tuple[int, int]:
    total = max((-(-length // stride) - 1) * stride + window - length, 0)
    return total // 2, total - total // 2


LAYERS = {
    L.Add: lambda layer, *xs: sum(xs[1:], xs[0]),
    L.AveragePooling2D: _average_pooling,
    L.Conv2D: _conv2d,
    L.Dense: _dense,
    L.Flatten: lambda layer, x: x.reshape(len(x), -1),
    L.GlobalAveragePooling2D: lambda layer, x: x.sum(axis=(1, 2)) / (x.shape[1] * x.shape[2]),
    L.MaxPooling2D: _max_pooling,
    L.ReLU: lambda layer, x: np.maximum(x, Fraction(0)),
}
