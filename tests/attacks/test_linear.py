"""Attacks on linear losses, whose greatest value is known: by the support function or by SciPy."""

import numpy as np
import pytest
import tensorflow as tf
from linear_tasks import greatest

from rt_tf import catalogue
from rt_tf.attacks import noise, starts
from rt_tf.attacks.gradient.pgd import fgsm, mim, pgd
from rt_tf.attacks.losses import margin
from rt_tf.attacks.task import Task
from rt_tf.domain import Domain
from rt_tf.threats.region import Region

WIDE = {"lower": -9.0, "upper": 9.0}
RADII = {"linf": 0.1, "l2": 0.5, "l1": 2.0}


def around(name, x, eps, **ends):
    threat = catalogue.resolve("threat", name)()
    return Region(threat, tf.constant(x, tf.float32), eps, Domain(**ends))


def task(region, w):
    """Two classes: the first has no logit, the second's is <w, z>."""

    def network(z):
        rise = tf.reduce_sum(tf.cast(w, tf.float32) * z, axis=1)
        return tf.stack([tf.zeros_like(rise), rise], axis=1)

    examples = tf.range(len(region.x))
    keys = noise.keys(tf.constant([3, 4]), examples)
    return Task(network, region, tf.zeros_like(examples, tf.int64), keys, margin)


def climbed(problem, attack=pgd, start=starts.uniform, **options):
    graph = tf.function(lambda: attack(problem, start(problem), **options), autograph=False)
    return graph()


@pytest.mark.parametrize("name", ["linf", "l2"])
def test_linear_losses_are_maximised(name):
    """max <w, z> is the support function: of the box for Linf, of the ball for L2."""
    rng = np.random.default_rng(0)
    w, x = (rng.standard_normal((4, 9)), rng.random((4, 9), np.float32))
    region = around(name, x, RADII[name], **({} if name == "linf" else WIDE))
    best = -region.inward().minimum(-tf.constant(w, tf.float32)[:, tf.newaxis])[:, 0].numpy()
    problem, near = task(region, w), 1e-6 if name == "linf" else 0.2
    for point, digits in (
        (climbed(problem, fgsm, starts.zero, step_size=1.0), 1e-6),
        (climbed(problem, fgsm, step_size=2.0), near),
        (climbed(problem, steps=9, step_size=0.25), near),
        (climbed(problem, steps=60, step_size=0.5), 1e-5),
        (climbed(problem, mim, steps=60, step_size=0.5), 1e-5),
    ):
        values = problem.values(point).numpy()
        np.testing.assert_allclose(values, best, rtol=digits, atol=digits)
        assert (values <= best + 1e-6).all()


def test_linear_losses_climb_as_far_as_an_l1_step_is_spread():
    """A step goes to five pixels at least: no less than evenly on the five steepest is reached."""
    rng = np.random.default_rng(0)
    w, x = rng.standard_normal((4, 40)), rng.random((4, 40), np.float32)
    region, steepest = around("l1", x, 2.0, **WIDE), -np.sort(-np.abs(w), axis=1)
    for attack in (pgd, mim):
        point = climbed(task(region, w), attack, steps=60, step_size=0.5)
        gain = (w * (point.numpy() - x)).sum(axis=1)
        assert (gain >= 1.98 * steepest[:, :5].mean(axis=1)).all()
        assert (gain <= 2.0 * steepest[:, 0] + 1e-4).all()


@pytest.mark.parametrize("name", RADII)
def test_linear_losses_are_maximised_at_the_ends_of_the_pixel_range(name):
    """Against SciPy's optimum over ball and pixel range; for L1 but for a twentieth of the way."""
    rng = np.random.default_rng(1)
    w, x = rng.standard_normal(9), rng.random(9)
    eps = 4.0 * RADII[name] if name != "l1" else RADII[name]
    region = around(name, x[np.newaxis], eps)

    point = climbed(task(region, w), steps=100, step_size=0.05).numpy()[0]
    best = greatest(name, w, x, eps)
    short = 0.05 if name == "l1" else 1e-3
    assert best - short * (best - w @ x) <= w @ point <= best + 1e-6
