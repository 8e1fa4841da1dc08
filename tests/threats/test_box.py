"""Boxes with ends of their own for every pixel, under the bounds that read them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rt_tf.bounds.methods import crown_bounds, crown_ibp_bounds, interval_bounds, zonotope_bounds
from rt_tf.domain import Domain
from rt_tf.network.trace import trace
from rt_tf.threats.box import between
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

SHAPE = (6, 5, 2)
METHODS = [interval_bounds, crown_ibp_bounds, crown_bounds, zonotope_bounds]
SPEC = tf.constant(np.random.default_rng(5).standard_normal((2, 4, 3)), tf.float32)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """Two convolutions, so that layers are bounded window by window."""
    keras.utils.set_random_seed(3)
    convolutions = [layers.Conv2D(3, 3, padding="same", activation="relu") for _ in range(2)]
    return keras.Sequential([keras.Input(SHAPE), *convolutions, layers.Flatten(), layers.Dense(3)])


def ends() -> tuple[np.ndarray, np.ndarray]:
    """Ranges of different sizes, some of a single point."""
    random = np.random.default_rng(0)
    lower = random.uniform(-1.0, 1.0, (2, *SHAPE)).astype(np.float32)
    sizes = 0.2 * random.random(lower.shape) * (random.random(lower.shape) < 0.7)
    return lower, lower + sizes.astype(np.float32)


@pytest.mark.parametrize("method", METHODS)
def test_no_point_of_the_box_is_below_the_bound(method, network: keras.Model) -> None:
    lower, upper = ends()
    graph = trace(network).lower()
    bounds = method(
        graph, between(tf.constant(lower), tf.constant(upper)), SPEC, arithmetic="sound"
    )
    random = np.random.default_rng(1)
    for i in range(2):
        share = random.random((400, *SHAPE)).round(random.integers(0, 2)).astype(np.float32)
        points = np.clip(lower[i] + share * (upper[i] - lower[i]), lower[i], upper[i])
        values = network(points).numpy() @ SPEC[i].numpy().T
        gap = values.min(axis=0) - bounds.margins[i].numpy()
        assert (gap >= 0.0).all()
        assert (gap < 3.0).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_box_of_equal_sides_is_the_ball_of_linf(method, network: keras.Model) -> None:
    x, eps = tf.constant(ends()[0]), 0.0625  # sums that float32 holds
    x = tf.round(256.0 * x) / 256.0
    graph = trace(network).lower()
    ball = method(graph, Region(Linf(), x, eps, Domain(-9.0, 9.0)), SPEC).margins
    box = method(graph, between(x - eps, x + eps), SPEC).margins
    np.testing.assert_allclose(box, ball, rtol=1e-4, atol=1e-4)


def test_points_and_steps_stay_in_the_box() -> None:
    lower, upper = (tf.constant(end) for end in ends())
    region = between(lower, upper)
    noise = tf.random.stateless_uniform(lower.shape, (1, 2))
    start = region.start(noise)
    np.testing.assert_allclose(start, lower + noise * (upper - lower), atol=1e-6)
    assert region.inside(start).numpy().all()
    far = region.project(
        start + region.step(start, noise - 0.5, 2.0 * region.radius(), noise[:, 0])
    )
    np.testing.assert_array_equal(far, tf.where(noise > 0.5, upper, lower))
    assert region.inside(far).numpy().all()
    assert not region.inside(tf.math.nextafter(upper, 9.0 * tf.ones_like(upper))).numpy().any()
    rows = region.take(tf.constant([1]))
    np.testing.assert_array_equal(rows.box()[1], upper[1:])
    assert region.outward().box()[0] is lower
