"""The contract that every norm of the catalogue's threats keeps to."""

import dataclasses

import balls
import numpy as np
import pytest
import tensorflow as tf
from balls import region

from rt_tf import catalogue

threats = pytest.mark.parametrize("name", balls.THREATS)
CHANCE = tf.constant([0.1, 0.9, 0.5])
V = np.random.default_rng(7).standard_normal((3, 5, 2, 2, 2))


def inner(v, points):
    """[b, s, ...], [k, b, ...] -> [k, b, s]."""
    return np.einsum(
        "bsn,kbn->kbs", v.reshape(*v.shape[:2], -1), points.reshape(*points.shape[:2], -1)
    )


def applied(r, noise):
    """All that a region answers for points, gradients and noise, by example."""
    gradient, start = noise - 0.5, r.start(noise)
    answers = [start, r.project(3.0 * noise), r.step(r.x, gradient, r.radius(), noise[:, 0, 0, 0])]
    answers += [tf.cast(r.inside(start), tf.float32), *r.outward().box(), *r.inward().box()]
    return [*answers, r.minimum(gradient[:, tf.newaxis]), r.dual_norm(gradient[:, tf.newaxis])]


@threats
def test_the_catalogue_names_threats_as_they_name_themselves(name):
    threat = catalogue.resolve("threat", name)()
    assert threat.name == name
    assert f"(0 < eps <= {threat.largest:.0f})" in catalogue.THREATS[name].summary
    assert threat.spread(1) == 1.0
    assert threat.spread(9) == pytest.approx(np.linalg.norm(np.ones(9), balls.ORDERS[name]))
    assert threat.largest == min(threat.spread(10**6), threat.largest)


@threats
@pytest.mark.parametrize("ends", [{}, {"lower": -0.5, "upper": 2.0}, balls.WIDE])
def test_no_point_of_a_region_is_below_its_minimum(name, ends):
    x, eps = balls.images(), np.array([0.1, 1.0, 3.0], np.float32) * balls.RADII[name]
    minima = region(name, x, tf.constant(eps), **ends).minimum(tf.constant(V)).numpy()
    assert minima.dtype == np.float64
    values = inner(V, balls.sample(name, x, eps, 2000, **ends))
    assert (values.min(axis=0) >= minima - 1e-6 * np.abs(V).sum(axis=(2, 3, 4))).all()


@threats
def test_the_minimum_of_a_ball_alone_is_attained(name):
    """v . x - eps |v|_dual, where no pixel meets the ends of its range."""
    x = balls.images()
    minima = region(name, x, 0.25, **balls.WIDE).minimum(tf.constant(V)).numpy()
    moves = 0.25 * balls.vertices(name, 8)
    values = np.einsum("bsn,kn->kbs", V.reshape(3, 5, 8), moves) + inner(V, x[np.newaxis])
    if name == "l2":  # the random directions come near; this is the least
        best = -0.25 * V / np.sqrt((V**2).sum(axis=(2, 3, 4), keepdims=True))
        values = np.concatenate([values, inner(V, x[np.newaxis]) + (V * best).sum(axis=(2, 3, 4))])
    np.testing.assert_allclose(minima, values.min(axis=0), rtol=0.0, atol=1e-12)


@threats
def test_the_minimum_of_the_pixel_range_alone_is_attained(name):
    x, largest = balls.images(), catalogue.resolve("threat", name).largest
    minima = region(name, x, largest).minimum(tf.constant(V)).numpy()
    corners = (V < 0).astype(np.float64)
    np.testing.assert_allclose(minima, (V * corners).sum(axis=(2, 3, 4)), rtol=0.0, atol=1e-12)


@threats
def test_dual_norms_are_the_best_that_a_move_of_size_one_does(name):
    norms = region(name, balls.images()).dual_norm(tf.constant(V)).numpy()
    best = np.einsum("bsn,kn->kbs", V.reshape(3, 5, 8), balls.vertices(name, 8)).max(axis=0)
    assert (best <= norms + 1e-12).all()
    np.testing.assert_allclose(norms, best, rtol=0.2 if name == "l2" else 1e-12)
    by_numpy = np.linalg.norm(V.reshape(15, 8), balls.DUALS[name], axis=1)
    np.testing.assert_allclose(norms.ravel(), by_numpy, rtol=1e-12)


@threats
@pytest.mark.parametrize("precision", [tf.float32, tf.float64])
@pytest.mark.parametrize("eps", [0.0, 0.3])
def test_gradients_are_finite(name, precision, eps):
    """Even where nothing moves and where all coefficients are zero."""
    x, eps = tf.constant(balls.images()), tf.constant(eps)
    for v in (tf.constant(V, precision), tf.zeros(V.shape, precision)):
        with tf.GradientTape() as tape:
            tape.watch([v, x, eps])
            r = region(name, x, eps)
            value = tf.reduce_sum(r.minimum(v)) + tf.reduce_sum(r.dual_norm(v))
        for gradient in tape.gradient(value, [v, x, eps]):
            assert np.isfinite(gradient.numpy()).all()


@threats
def test_gradients_of_the_minimum_point_at_the_point_that_attains_it(name):
    """Danskin: d min <v, x'> / dv is the minimiser, a point of the region."""
    x, v = balls.images(), tf.constant(V)
    r = region(name, x, 0.25, **balls.WIDE)
    with tf.GradientTape() as tape:
        tape.watch(v)
        value = r.minimum(v)
    points = tape.gradient(value, v).numpy().swapaxes(0, 1)
    assert max(balls.size(name, p - x).max() for p in points) <= 0.25 + 1e-9
    picked = np.einsum("bsn,sbn->bs", V.reshape(3, 5, 8), points.reshape(5, 3, 8))
    np.testing.assert_allclose(picked, value, atol=1e-9)


@threats
def test_radii_by_example_are_radii_one_at_a_time(name):
    x, noise = balls.images(), tf.constant(balls.images(seed=1)) * 0.999
    radii = np.array([0.0, 0.3, 9.0], np.float32) * balls.RADII[name]
    together = applied(region(name, x, tf.constant(radii)), noise)
    for i, eps in enumerate(radii):
        alone = applied(region(name, x[i : i + 1], float(eps)), noise[i : i + 1])
        for whole, part in zip(together, alone, strict=True):
            np.testing.assert_allclose(whole[i], part[0], rtol=0.0, atol=1e-6)


@threats
def test_graphs_of_any_batch_answer_alike(name):
    images = tf.TensorSpec([None, 2, 2, 2])

    @tf.function(input_signature=[images, tf.TensorSpec([None]), images])
    def graph(x, eps, noise):
        return applied(region(name, x, eps), noise)

    for count in (3, 1, 0):
        x, noise = tf.constant(balls.images(count)), tf.constant(balls.images(count, seed=1)) * 0.99
        eps = tf.fill([count], balls.RADII[name])
        eager = applied(region(name, x, eps), noise)
        for compiled, expected in zip(graph(x, eps, noise), eager, strict=True):
            np.testing.assert_allclose(compiled, expected, rtol=0.0, atol=1e-5)


@threats
def test_xla_computes_the_same_points(name):
    def point(x, noise):
        r = region(name, x)
        return r.start(noise) + r.step(x, noise - 0.5, r.radius(), CHANCE)

    x, noise = tf.constant(balls.images()), tf.constant(balls.images(seed=1)) * 0.99
    compiled = tf.function(point, jit_compile=True)(x, noise)
    np.testing.assert_allclose(compiled, point(x, noise), rtol=0.0, atol=1e-5)


@threats
def test_steps_are_the_steepest_of_their_size(name):
    gradient, x = V[:, 0].astype(np.float32), balls.images()
    sizes = tf.constant([0.5, 1.0, 0.0])[:, tf.newaxis, tf.newaxis, tf.newaxis]
    r = region(name, x, **balls.WIDE)
    step = r.step(r.x, tf.constant(gradient), sizes, CHANCE).numpy()
    np.testing.assert_allclose(balls.size(name, step), [0.5, 1.0, 0.0], rtol=1e-6)
    gain = (step * gradient).sum(axis=(1, 2, 3))
    best = r.dual_norm(tf.constant(gradient)[:, tf.newaxis]).numpy()[:, 0]
    if name == "l1":  # spread, by chance, over so many of the steepest pixels
        steepest = -np.sort(-np.abs(gradient).reshape(3, 8), axis=1)
        best = [row[:count].mean() for row, count in zip(steepest, (5, 8, 7), strict=True)]
    np.testing.assert_allclose(gain, np.multiply(best, [0.5, 1.0, 0.0]), rtol=1e-6)


@threats
def test_distances_are_the_norms_of_moves(name):
    x, other = balls.images(), balls.images(seed=1)
    distances = region(name, x).distance(tf.constant(other)).numpy()
    np.testing.assert_allclose(
        distances, balls.size(name, other - x.astype(np.float64)), rtol=1e-12
    )


@threats
@pytest.mark.parametrize("scale", [0.0, 1e-30, 1e30])
def test_steps_depend_on_the_direction_alone(name, scale):
    r = region(name, balls.images(), **balls.WIDE)
    gradient = tf.constant(V[:, 0], tf.float32)
    step = r.step(r.x, scale * gradient, tf.constant(0.5), CHANCE).numpy()
    expected = r.step(r.x, gradient, tf.constant(0.5), CHANCE).numpy() * (scale > 0)
    np.testing.assert_allclose(step, expected, atol=1e-6)


@threats
def test_a_region_holds_its_own_settings(name):
    r = region(name, [[0.5]], 0.1)
    assert dataclasses.replace(r, eps=0.2).eps == 0.2
    with pytest.raises(dataclasses.FrozenInstanceError):
        r.eps = 0.3


def test_every_threat_is_tested_here_or_in_a_file_of_its_own():
    others = {"union", "wasserstein"}  # made of these, or without a support function
    assert {*balls.THREATS, *others} == set(catalogue.THREATS)
