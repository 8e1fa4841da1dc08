"""Projections against SciPy, random starts against their distribution, and hand values."""

import balls
import numpy as np
import pytest
import tensorflow as tf
from balls import region
from scipy.optimize import Bounds, minimize

from rt_tf.domain import Domain

threats = pytest.mark.parametrize("name", balls.THREATS)


def nearest_by_scipy(name, x, z, eps, lower, upper):
    """argmin |y - z|^2 over the region. For L1: y = x + m, m = up - down with up, down >= 0."""
    n, split = len(x), name == "l1"
    both = np.concatenate([np.eye(n), -np.eye(n)]) if split else np.eye(n)
    least, most = np.maximum(lower - x, -eps), np.minimum(upper - x, eps)
    ball = {"type": "ineq", "fun": lambda m: eps**2 - m @ m, "jac": lambda m: -2.0 * m}
    if split:
        least, most = np.zeros(2 * n), np.concatenate([most, -least])
        ball = {"type": "ineq", "fun": lambda m: eps - m.sum(), "jac": lambda m: -np.ones(2 * n)}
    optimum = minimize(
        lambda m: ((x + m @ both - z) ** 2).sum(),
        np.zeros(len(both)),
        jac=lambda m: 2.0 * both @ (x + m @ both - z),
        bounds=Bounds(least, most),
        constraints=() if name == "linf" else ball,
        method="SLSQP",
        options={"ftol": 1e-10, "maxiter": 500},
    )
    assert optimum.success, optimum.message
    return x + optimum.x @ both


@threats
@pytest.mark.parametrize("ends", [(0.0, 1.0), (-0.3, 2.0), (-9.0, 9.0)])
@pytest.mark.parametrize("reach", [0.3, 2.0])
def test_projections_are_the_nearest_points(name, ends, reach):
    rng, domain = np.random.default_rng(0), Domain(*ends)
    ends = (domain.lower, domain.upper)
    x = rng.uniform(*ends, (6, 5))
    x[:2, :2] = ends
    z = x + reach * rng.standard_normal(x.shape)
    eps = balls.RADII[name] * np.array([0.1, 0.5, 1.0, 1.0, 2.0, 4.0])
    r = region(name, x, tf.constant(eps), tf.float64, lower=ends[0], upper=ends[1])
    projected = r.project(tf.constant(z)).numpy()
    assert (balls.size(name, projected - x) <= eps * (1 + 1e-12)).all()
    assert (projected >= ends[0]).all()
    assert (projected <= ends[1]).all()
    for i in range(len(x)):
        best = nearest_by_scipy(name, x[i], z[i], eps[i], *ends)
        np.testing.assert_allclose(projected[i], best, atol=2e-4)  # SciPy's digits
        assert np.linalg.norm(projected[i] - z[i]) <= np.linalg.norm(best - z[i]) + 1e-6


@threats
@pytest.mark.parametrize("reach", [1e-3, 1.0, 1e4])
def test_projections_are_idempotent_and_leave_points_of_the_region_alone(name, reach):
    x, rng = balls.images(20), np.random.default_rng(1)
    z = x + (reach * rng.standard_normal(x.shape)).astype(np.float32)
    r = region(name, x)
    once = r.project(tf.constant(z))
    np.testing.assert_allclose(r.project(once), once, rtol=0.0, atol=1e-6)
    np.testing.assert_array_equal(r.project(r.x), x)
    inside = balls.sample(name, x, 0.99 * balls.RADII[name], 1)[0].astype(np.float32)
    np.testing.assert_array_equal(r.project(tf.constant(inside)), inside)


@pytest.mark.parametrize(
    ("name", "x", "point", "projected"),
    [
        ("linf", [0.5, 0.5], [0.9, 0.45], [0.75, 0.45]),
        ("l2", [0.0, 0.0], [0.6, 0.8], [0.3, 0.4]),
        ("l2", [0.0, 0.0], [0.3, 0.0], [0.3, 0.0]),
        ("l2", [0.9, 0.2], [4.9, 3.2], [1.0, 0.2 + np.sqrt(0.24)]),  # the first pixel is at its end
        ("l1", [0.0, 0.0], [1.0, 0.75], [0.75, 0.5]),
        ("l1", [0.0, 0.0], [3.0, 0.5], [1.0, 0.25]),  # so the second may keep more
        ("l1", [0.5, 0.5], [0.0, 1.0], [0.0, 1.0]),
    ],
)
def test_projections_by_hand(name, x, point, projected):
    r = region(name, [x])  # radii .25, .5, 1.25
    np.testing.assert_allclose(r.project(tf.constant([point])), [projected], atol=1e-6)


@pytest.mark.parametrize(
    ("name", "x", "gradient", "step"),
    [
        ("linf", [0.0, 0.0, 0.0], [-2.0, 0.0, 1e-30], [-0.5, 0.0, 0.5]),
        ("l2", [0.0, 1.0, 0.0], [3.0, 0.0, -4.0], [0.3, 0.0, -0.4]),
        ("l1", [0.5, 0.5, 0.5, 0.5], [1.0, -3.0, 2.0, 4.0], [0.125, -0.125, 0.125, 0.125]),
        ("l1", [0.5, 0.0, 0.5], [1.0, -3.0, 2.0], [0.25, 0.0, 0.25]),  # the second cannot fall
        ("l1", [0.5, 0.0, 1.0], [1.0, -3.0, 2.0], [0.5, 0.0, 0.0]),  # nor the third rise
        ("l1", [1.0, 0.0, 1.0], [1.0, -3.0, 2.0], [0.0, 0.0, 0.0]),
        ("l1", [0.9, 0.1, 0.5], [1.0, -3.0, 0.0], [0.25, -0.25, 0.0]),
    ],
)
def test_steps_by_hand(name, x, gradient, step):
    r = region(name, [x])
    move = r.step(r.x, tf.constant([gradient]), tf.constant(0.5), tf.constant([0.5]))
    np.testing.assert_allclose(move, [step], atol=1e-7)


@pytest.mark.parametrize(("chance", "count"), [(0.0, 5), (0.5, 13), (0.999, 20)])
def test_l1_steps_move_the_steepest_pixels_that_can_move(chance, count):
    rng = np.random.default_rng(2)
    x = np.round(rng.random((3, 5, 10)), 1).astype(np.float32)
    gradient = rng.standard_normal(x.shape).astype(np.float32)
    r = region("l1", x)
    step = r.step(r.x, tf.constant(gradient), tf.constant(0.7), tf.fill([3], chance)).numpy()
    stuck = ((gradient > 0) & (x == 1.0)) | ((gradient < 0) & (x == 0.0))
    assert stuck.any()
    slope = np.where(stuck, 0.0, np.abs(gradient)).reshape(3, -1)
    for i in range(3):
        expected = np.zeros(50)
        chosen = np.argsort(-slope[i])[:count]
        expected[chosen] = 0.7 / count * np.sign(gradient[i].ravel()[chosen])
        np.testing.assert_allclose(step[i].ravel(), expected, atol=1e-7)


@pytest.mark.parametrize(
    ("name", "minimum", "dual"), [("linf", -3.0, 7.0), ("l2", -3.75, 5.0), ("l1", -4.0, 4.0)]
)
def test_minima_by_hand(name, minimum, dual):
    """v = (3, -4) at (1/4, 1/2), so v . x = -5/4, and radii of 1/4, 1/2 and 5/4.

    Linf: at (0, 3/4). L2: -5/4 - 5/2 of the ball, -4 of the box. L1: -5/4 - 5, and -4 of the box.
    """
    v, r = tf.constant([[[3.0, -4.0]]]), region(name, [[0.25, 0.5]])
    assert r.dual_norm(v).numpy() == dual
    assert r.minimum(v).numpy() == minimum


@pytest.mark.parametrize("name", ["l2", "l1"])
def test_starts_are_spread_evenly_over_the_ball(name):
    """The distance to the power of n, for n pixels, is uniform, and no direction is preferred."""
    noise = tf.random.stateless_uniform([20000, 2, 2, 2], [1, 2])
    r = region(name, np.zeros((20000, 2, 2, 2)), 2.0, **balls.WIDE)
    moves = r.start(noise).numpy().reshape(-1, 8)
    volume = np.sort((balls.size(name, moves) / 2.0) ** 8)
    np.testing.assert_allclose(volume, np.linspace(0, 1, len(volume)), atol=0.02)
    assert np.abs(moves.mean(axis=0)).max() < 0.02
    covariance = np.cov(moves.T)
    np.testing.assert_allclose(covariance, covariance.trace() / 8 * np.eye(8), atol=0.01)


def test_uniform_noise_reaches_the_whole_linf_box():
    r = region("linf", np.full((1, 1000), 0.5, np.float32))
    start = r.start(tf.random.stateless_uniform([1, 1000], [1, 2])).numpy()
    assert 0.25 <= start.min() < 0.26
    assert 0.74 < start.max() <= 0.75


@threats
def test_starts_are_a_function_of_the_noise_of_the_example(name):
    noise, x = tf.random.stateless_uniform([3, 2, 2, 2], [1, 2]), balls.images()
    starts = region(name, x).start(noise).numpy()
    backwards = region(name, x[::-1].copy()).start(noise[::-1]).numpy()
    np.testing.assert_allclose(backwards[::-1], starts, atol=1e-6)
    assert not np.allclose(region(name, x).start(0.5 * noise), starts, atol=1e-3)
