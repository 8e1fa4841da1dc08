"""Sound arithmetic on convolutions, batch normalisation, pooling and sums: against exact numbers.

The networks cancel: large constants are added and taken away again, so that float32 loses digits
and bounds without rounding terms fail here.
"""

import functools
from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from oracles import rational
from oracles.methods import every, resolve

from rt_tf.bounds.result import margin_spec
from rt_tf.network.graph import Graph
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

L = networks.L
conv = networks.conv
RADII = [0.0, 1e-6, 1e-3, 8 / 255]  # one example each
LABEL = 0
POINTS = 2  # vertices drawn for every example


def joined(x):
    """Two ways that nearly cancel, and a third past both."""
    y = L.BatchNormalization()(L.Conv2D(2, 3, padding="same")(x))
    z = L.AveragePooling2D(2, 1, padding="same")(L.ReLU()(y))
    return L.ReLU()(L.Add()([x, y, z]))


NETWORKS: dict[str, Callable[[], keras.Model]] = {
    "conv": lambda: networks.chain(conv(activation="relu"), conv(activation="relu", strides=2)),
    "batch_norm_deep": lambda: networks.chain(
        conv(strides=2), L.BatchNormalization(), L.ReLU(), conv(), L.BatchNormalization(), L.ReLU()
    ),
    "average_pool": lambda: networks.chain(
        conv(), L.AveragePooling2D(3, 2, padding="same"), L.ReLU(), L.Dense(4, "relu")
    ),
    "global_average": lambda: networks.chain(conv(), L.ReLU(), L.GlobalAveragePooling2D()),
    "max_pool": lambda: networks.chain(conv(), L.MaxPooling2D(2), L.ReLU()),
    "joined": lambda: networks.functional(joined),
}
NORMALISATIONS = [rational.by_definition, rational.folded, rational.by_keras]
SIZES = [1.0, 1e4]  # of the constants that cancel
cases = pytest.mark.parametrize("name", NETWORKS)
sizes = pytest.mark.parametrize("size", networks.mostly_slow(SIZES, SIZES[1:]))


class Question(NamedTuple):
    """A network, examples with a radius each, and the exact ends of their regions."""

    model: keras.Model
    graph: Graph
    region: Region
    spec: tf.Tensor
    ends: tuple[np.ndarray, np.ndarray]  # rational


@functools.cache
def question(name: str, size: float) -> Question:
    model = cancelling(networks.randomize(NETWORKS[name](), seed=3), size)
    wiring, count = trace(model), len(RADII)
    x, eps = networks.images(wiring.input_shape, count), np.array(RADII, np.float32)
    exact_x, exact_eps = rational.exactly(x), rational.exactly(eps).reshape(-1, 1, 1, 1)
    ends = (
        np.maximum(exact_x - exact_eps, Fraction(0)),
        np.minimum(exact_x + exact_eps, Fraction(1)),
    )
    spec = margin_spec(tf.fill([count], LABEL), wiring.classes)
    region = Region(Linf(), tf.constant(x), tf.constant(eps))
    return Question(model, wiring.lower(), region, spec, ends)


def cancelling(model: keras.Model, size: float) -> keras.Model:
    """Adds constants to the first biases, and takes them away where the network allows it."""
    x = networks.images(model.input_shape[1:], 8, seed=9)
    rng = np.random.default_rng(0)
    weighted = [layer for layer in model.layers if hasattr(layer, "bias")]
    for layer in weighted[:-1]:
        layer.bias.assign_add(size * rng.choice([-1.0, 1.0, 2.0], layer.bias.shape))
    for layer in model.layers[1:]:
        value = keras.Model(model.inputs[0], layer.output)(x).numpy()
        middle = value.mean(axis=tuple(range(value.ndim - 1)))
        if isinstance(layer, L.BatchNormalization):
            layer.moving_mean.assign_add((middle - layer.beta) / _scale(layer))
        elif layer in weighted[1:]:
            layer.bias.assign_sub(middle)
    return model


def _scale(layer: L.BatchNormalization) -> np.ndarray:
    return (layer.gamma / np.sqrt(layer.moving_variance + layer.epsilon)).numpy()


def points(q: Question, margin: int) -> np.ndarray:
    """Exact vertices, one of them where the gradient points: [1 + POINTS, batch, ...]."""
    rows, rng = q.spec[:, margin], np.random.default_rng(margin)
    with tf.GradientTape() as tape:
        tape.watch(q.region.x)
        value = tf.reduce_sum(rows * q.model(q.region.x))
    steepest = tape.gradient(value, q.region.x).numpy() > 0.0
    drawn = rng.random((POINTS, *steepest.shape)) < 0.5
    return np.where(np.concatenate([steepest[np.newaxis], drawn]), *q.ends)


@functools.cache
def exact_margins(name: str, size: float) -> list[list[Fraction]]:
    """The least margins among points and ways to normalise, rational: [batch][spec]."""
    q = question(name, size)
    normalised = any(isinstance(layer, L.BatchNormalization) for layer in q.model.layers)
    margins = []
    for margin in range(q.spec.shape[1]):
        x = points(q, margin)
        flat = x.reshape(-1, *x.shape[2:])
        for normalise in NORMALISATIONS if normalised else NORMALISATIONS[:1]:
            logits = rational.evaluate(q.model, flat, normalise).reshape(*x.shape[:2], -1)
            margins.extend(logits[..., [LABEL]] - np.delete(logits, LABEL, axis=-1))
    return np.min(margins, axis=0).tolist()


def served_margins(q: Question) -> np.ndarray:
    """The model's margins at points inside every region: [points, batch, spec], in float64."""
    lower, upper = (end.numpy() for end in q.region.inward().box())
    share = np.random.default_rng(1).random((40, *lower.shape))
    share[:20] = share[:20] > 0.5
    x = np.clip((lower + share * (upper - lower)).astype(np.float32), lower, upper)
    x = np.concatenate([q.region.x.numpy()[np.newaxis], x])
    logits = q.model(x.reshape(-1, *x.shape[2:])).numpy().astype(np.float64)
    logits = logits.reshape(*x.shape[:2], -1)
    return logits[..., [LABEL]] - np.delete(logits, LABEL, axis=-1)


def margins_of(method: str, q: Question, arithmetic: str) -> np.ndarray:
    return resolve(method)(q.graph, q.region, q.spec, arithmetic=arithmetic).margins.numpy()


def excess(bounds: np.ndarray, exact: list[list[Fraction]]) -> float:
    """By how much a bound lies above an exact margin, at worst; negative if it never does."""
    pairs = zip(bounds.ravel(), np.ravel(exact), strict=True)
    return float(max(Fraction(float(bound)) - margin for bound, margin in pairs))


@cases
@sizes
@every
def test_no_exact_or_served_margin_falls_below_a_sound_bound(name, size, method):
    q = question(name, size)
    bounds = margins_of(method, q, "sound")
    assert np.isfinite(bounds).all()
    assert excess(bounds, exact_margins(name, size)) <= 0
    assert (served_margins(q) >= bounds).all()


@cases
def test_bounds_without_rounding_terms_do_not_hold_here(name):
    """Else the test above could not fail. At radius 0 a bound has nothing else to be loose by."""
    bounds = margins_of("crown_ibp", question(name, 1e4), "fast")
    assert excess(bounds, exact_margins(name, 1e4)) > 0


@cases
def test_exact_arithmetic_is_that_of_the_model(name):
    """The oracle by itself: with little to cancel it agrees with Keras to float32's digits."""
    q = question(name, 1.0)
    x = networks.images(q.model.input_shape[1:], 2, seed=5)
    served = q.model(x).numpy()
    for normalise in NORMALISATIONS:
        logits = rational.evaluate(q.model, rational.exactly(x), normalise).astype(np.float64)
        np.testing.assert_allclose(logits, served, rtol=0, atol=1e-5 * max(1, abs(served).max()))


@every
@pytest.mark.parametrize("eps", [0.1, 8 / 255, 0.3, 1e-3])
def test_radii_given_as_python_numbers_hold_to_their_last_digit(method, eps):
    """The region is that of the number in double precision, not of its rounding to float32.

    The logits are the pixels, and differ by twice the radius: nothing else rounds.
    """
    model = keras.Sequential([L.Input((1, 2, 1)), L.Flatten()])
    low = (0.9 - 2 * eps) * np.random.default_rng(0).random(64)
    x = np.stack([low + 2 * eps, low], axis=1).astype(np.float32).reshape(-1, 1, 2, 1)
    region = Region(Linf(), tf.constant(x), eps)
    spec = margin_spec(tf.zeros([64], tf.int32), 2)
    bounds = resolve(method)(trace(model).lower(), region, spec, arithmetic="sound")
    margins = bounds.margins.numpy()[:, 0]
    for (high, low), margin in zip(rational.exactly(x).reshape(-1, 2), margins, strict=True):
        exact = max(high - Fraction(eps), Fraction(0)) - min(low + Fraction(eps), Fraction(1))
        assert Fraction(float(margin)) <= exact <= Fraction(float(margin)) + Fraction(1, 10**5)
