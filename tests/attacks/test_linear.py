"""Attacks on linear losses, whose greatest value is known: by the support function or by SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linprog, minimize

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.pgd import fgsm, pgd
from rt_tf.threats.region import Region

RADII = {"linf": 0.1, "l2": 0.5, "l1": 2.0}


def around(name, x, eps, **ends):
    return Region(catalogue.resolve("threat", name)(), tf.constant(x, tf.float32), eps, **ends)


def draw(region):
    seed = tf.constant([3, 4], tf.int64)
    return noise.by_example(seed, tf.range(len(region.x)), region.x.shape[1:].as_list())


def climbed(loss, region, **options):
    graph = tf.function(lambda: pgd(loss, region, draw(region), **options), autograph=False)
    return graph()


@pytest.mark.parametrize("name", catalogue.THREATS)
def test_linear_losses_are_maximised(name):
    """max <w, z> is what the support function says: of the box for Linf, of the ball for others."""
    rng = np.random.default_rng(0)
    w, x = (rng.standard_normal((4, 9)), rng.random((4, 9), np.float32))
    w, ends = tf.constant(w, tf.float32), {} if name == "linf" else {"lower": -9.0, "upper": 9.0}
    region = around(name, x, RADII[name], **ends)
    best = -region.inward().minimum(-w[:, tf.newaxis])[:, 0].numpy()

    def loss(z):
        return tf.reduce_sum(w * z, axis=1)

    for point, digits in (
        (fgsm(loss, region, step_size=1.0), 1e-6),
        (fgsm(loss, region, draw(region), step_size=2.0), 1e-6 if name == "linf" else 0.2),
        (climbed(loss, region, steps=9, step_size=0.25), 1e-6 if name == "linf" else 0.2),
        (climbed(loss, region, steps=60, step_size=0.5), 1e-5),
    ):
        np.testing.assert_allclose(loss(point), best, rtol=digits, atol=digits)
        assert (loss(point).numpy() <= best + 1e-6).all()


@pytest.mark.parametrize("name", catalogue.THREATS)
def test_linear_losses_are_maximised_at_the_ends_of_the_pixel_range(name):
    """Against SciPy's optimum over ball and pixel range; for L1 but for a twentieth of the way."""
    rng = np.random.default_rng(1)
    w, x = rng.standard_normal(9), rng.random(9)
    eps = 4.0 * RADII[name] if name != "l1" else RADII[name]
    region = around(name, x[np.newaxis], eps)

    def loss(z):
        return tf.reduce_sum(tf.constant(w, tf.float32) * z, axis=1)

    point = climbed(loss, region, steps=100, step_size=0.05).numpy()[0]
    best = greatest(name, w, x, eps)
    short = 0.05 if name == "l1" else 1e-3
    assert best - short * (best - w @ x) <= w @ point <= best + 1e-6


def greatest(name, w, x, eps):
    """max <w, z> over the region around one example; for L1 with z = x + up - down."""
    if name == "linf":
        return w @ np.where(w > 0, np.minimum(x + eps, 1), np.maximum(x - eps, 0))
    if name == "l1":
        ends = [(0, end) for end in (*(1 - x), *x)]
        return w @ x - linprog([*-w, *w], np.ones((1, 18)), [eps], bounds=ends).fun
    ball = {"type": "ineq", "fun": lambda m: eps**2 - m @ m, "jac": lambda m: -2.0 * m}
    ends = list(zip(-x, 1 - x, strict=True))
    found = minimize(lambda m: -w @ m, 0 * x, jac=lambda m: -w, bounds=ends, constraints=ball)
    return w @ x - found.fun
