"""Planes and lines around products: they hold everywhere, and touch where the product is least."""

import numpy as np
import pytest
import tensorflow as tf

from rt_tf.network.planes import product_lines, product_planes

SHARES = np.linspace(0.0, 1.0, 9)


@pytest.fixture(scope="module")
def factors():
    """Lower and upper ends of two factors, [2, 400]: of all signs, points among them."""
    rng = np.random.default_rng(0)
    ends = np.sort(rng.normal(size=(2, 2, 400)) * 10.0 ** rng.integers(-2, 3, (2, 1, 400)), axis=1)
    ends[0, 1, ::7] = ends[0, 0, ::7]
    ends[1, 1, ::5] = ends[1, 0, ::5]
    return [tuple(tf.constant(end, tf.float32) for end in factor) for factor in ends]


def inside(ends):
    """Points of intervals, their ends among them, in float64: [9, n]."""
    lower, upper = (np.asarray(end, np.float64) for end in ends)
    return lower + SHARES[:, np.newaxis] * (upper - lower)


def between(factors, lower, upper):
    """How far products are above and below, [9, 9, n], in parts of the largest product."""
    x, y = inside(factors[0])[:, np.newaxis], inside(factors[1])[np.newaxis]
    size = np.abs(x).max(axis=(0, 1)) * np.abs(y).max(axis=(0, 1)) + 1e-30
    return (x * y - lower(x, y)) / size, (upper(x, y) - x * y) / size


@pytest.mark.parametrize("slope", ["adaptive", "parallel", 0.0, 0.3, 1.0])
def test_planes_hold_every_product(factors, slope):
    slope = slope if isinstance(slope, str) else tf.fill([400], tf.constant(slope))
    planes = tf.nest.map_structure(
        lambda t: np.asarray(t, np.float64), product_planes(*factors, slope)
    )
    (s, t), (s_above, t_above) = planes.lower_slopes, planes.upper_slopes
    below, above = between(
        factors,
        lambda x, y: s * x + t * y + planes.lower_offset,
        lambda x, y: s_above * x + t_above * y + planes.upper_offset,
    )
    for room in (below, above):
        assert room.min() > -1e-6
        assert (np.abs(room).min(axis=(0, 1)) < 1e-6).all()  # none is looser than it need be


def test_lines_of_a_product_by_a_box_are_the_nearest_ones(factors):
    lines = [np.asarray(line, np.float64) for line in product_lines(*factors)]
    below, above = between(
        factors,
        lambda x, y: lines[0] * x + lines[1] + 0.0 * y,
        lambda x, y: lines[2] * x + lines[3] + 0.0 * y,
    )
    for room in (below, above):
        assert room.min() > -1e-6
        nearest = room.min(axis=1)  # over the box, by the first factor
        assert (np.abs(nearest[[0, -1]]) < 1e-5).all()


def test_gradients_of_lines_are_finite_at_points(factors):
    with tf.GradientTape() as tape:
        tape.watch(factors)
        total = tf.add_n([tf.reduce_sum(line) for line in product_lines(*factors)])
    for gradient in tf.nest.flatten(tape.gradient(total, factors)):
        assert np.isfinite(gradient).all()
