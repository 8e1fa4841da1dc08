"""Projected and conjugate Sinkhorn against linear programs; its parts against NumPy and SciPy."""

import numpy as np
import pytest
import tensorflow as tf
import transports
from scipy.special import lambertw, logsumexp

from rt_tf.threats.wasserstein.feasible import Mass
from rt_tf.threats.wasserstein.sinkhorn import Sinkhorn, lambert_of_exp
from rt_tf.threats.wasserstein.transport import VOID, LocalPlans

EPS = np.array([0.02, 0.1, 0.3, 0.5, 0.8, 3.0])[:, None, None, None]
ROUNDING = 1e-9


def problem(shape=(4, 4, 1)):
    """Images of sum one, how much a pixel holds, and moves of random size from them."""
    x = transports.images(len(EPS), shape).astype(np.float64)
    total = x.sum(axis=(1, 2, 3), keepdims=True)
    x, ceiling = x / total, 1.0 / total
    moves = np.random.default_rng(1).standard_normal(x.shape)
    mass = Mass(*(tf.constant(t, tf.float64) for t in (x, EPS, ceiling)))
    return mass, moves * ceiling


def check_feasible(mass, z, p=1.0):
    x, eps, ceiling = (t.numpy() for t in mass)
    assert (z >= 0.0).all()
    assert (z <= ceiling * (1.0 + ROUNDING)).all()
    np.testing.assert_allclose(z.sum(axis=(1, 2)), x.sum(axis=(1, 2)), rtol=1e-9, atol=1e-12)
    for a, b, radius in zip(x, z, eps.ravel(), strict=True):
        assert transports.distance(a, b, p) <= radius + 1e-7  # the solver's tolerance


def test_lambert_w_of_exponentials():
    t = np.concatenate([np.linspace(-600, 700, 2001), np.linspace(-5, 5, 501)])
    values = lambert_of_exp(tf.constant(t)).numpy()
    np.testing.assert_allclose(values, lambertw(np.exp(t)).real, rtol=1e-12)
    far = np.array([1e3, 1e4, 1e6, 1e12])
    values = lambert_of_exp(tf.constant(far)).numpy()
    np.testing.assert_allclose(values + np.log(values), far, rtol=1e-14)
    assert 0.0 <= lambert_of_exp(tf.constant(-1e9, tf.float64)).numpy() < 1e-290


@pytest.mark.parametrize("spread", [1.0, 3000.0])  # the second is beyond float64's exponents
@pytest.mark.parametrize(("size", "p"), [(3, 1.0), (5, 2.0)])
def test_sums_over_neighbours(spread, size, p):
    rng, plans = np.random.default_rng(0), LocalPlans(size, p)
    potential = spread * rng.standard_normal((2, 6, 5, 2))
    potential[:, 2, 2] = VOID
    psi = np.array([0.0, 3.0])[:, None, None, None]
    sums = plans.sums(tf.constant(potential), tf.constant(psi), moments=2)
    cost = transports.costs((6, 5, 2), p)
    places = np.stack(np.mgrid[:6, :5, :2], axis=-1).reshape(-1, 3)
    near = np.abs(places[:, np.newaxis] - places).max(axis=-1) <= size // 2
    near &= np.isfinite(cost)
    for i in range(2):
        costs = np.where(near, cost, 0.0)
        exponents = potential[i].ravel() - psi[i, 0, 0] * costs
        terms = np.where(near, exponents, -np.inf)
        log_sum = logsumexp(terms, axis=1)
        shares = np.exp(terms - log_sum[:, np.newaxis])
        np.testing.assert_allclose(sums[0][i].numpy().ravel(), log_sum, rtol=1e-10, atol=1e-10)
        for n in (1, 2):
            mean = (shares * costs**n).sum(axis=1)
            np.testing.assert_allclose(sums[n][i].numpy().ravel(), mean, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("shape", "p"), [((4, 4, 1), 1.0), ((3, 3, 2), 2.0)])
def test_projections_are_in_the_ball_and_nearly_the_nearest(shape, p):
    """By the variational inequality: no point of the ball is further on in the direction w - z.

    <w - z, y - z> over y bounds |w - z|^2 / 2 - |w - z*|^2 / 2 (Frank and Wolfe's gap).
    """
    mass, moves = problem(shape)
    w = mass.x + 0.5 * moves
    solver = Sinkhorn(LocalPlans(7, p), weight=3e3, tolerance=1e-3, iterations=400)
    z = tf.function(solver.project, autograph=False)(mass, w).numpy()
    check_feasible(mass, z, p)
    for x, point, aim, eps, ceiling in zip(
        mass.x.numpy(), z, w.numpy(), EPS.ravel(), mass.ceiling.numpy().ravel(), strict=True
    ):
        away = point - aim
        gap = (away * point).sum() - transports.least(x, away, eps, p, ceiling)
        assert gap <= 0.06 * 0.5 * (away**2).sum()


def test_conjugates_are_in_the_ball_and_nearly_the_least():
    mass, coefficients = problem()
    solver = Sinkhorn(LocalPlans(7), weight=500.0, tolerance=1e-3, iterations=600)
    z = tf.function(solver.conjugate, autograph=False)(mass, tf.constant(coefficients)).numpy()
    check_feasible(mass, z)
    for x, point, v, eps, ceiling in zip(
        mass.x.numpy(), z, coefficients, EPS.ravel(), mass.ceiling.numpy().ravel(), strict=True
    ):
        best = transports.least(x, v, eps, ceiling=ceiling)
        assert best - 1e-7 <= (v * point).sum() <= best + 0.08 * ((v * x).sum() - best)


@pytest.mark.parametrize("reach", [1.0, 1e4])
def test_far_points_and_few_iterations_still_give_points_of_the_ball(reach):
    mass, moves = problem()
    solver = Sinkhorn(LocalPlans(), weight=1e4, iterations=3)
    project = tf.function(solver.project, autograph=False)
    check_feasible(mass, project(mass, mass.x + reach * moves).numpy())


def test_iterations_end_at_the_tolerance_and_by_example():
    mass, moves = problem()
    w = mass.x + 0.1 * moves
    image, number = (tf.TensorSpec([None, *t.shape[1:]], tf.float64) for t in (mass.x, mass.eps))
    full, short = (
        tf.function(
            Sinkhorn(LocalPlans(), 100.0, 1e-3, iterations).project,
            input_signature=(Mass(image, number, number), image),
            autograph=False,
        )
        for iterations in (1000, 100)
    )
    together = full(mass, w).numpy()
    np.testing.assert_array_equal(together, short(mass, w))
    alone = [short(Mass(*(t[i : i + 1] for t in mass)), w[i : i + 1])[0] for i in range(3)]
    np.testing.assert_allclose(alone, together[:3], atol=1e-12)
