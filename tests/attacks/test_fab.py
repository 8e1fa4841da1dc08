"""FAB: the distance to the boundary of linear classifiers, and its projections, against SciPy."""

import functools

import linear_tasks as linear
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.attacks import noise
from rt_tf.attacks.minimal.fab import fab_t
from rt_tf.attacks.minimal.hyperplane import onto
from rt_tf.attacks.minimal.nearest import Nearest, shortened
from rt_tf.attacks.starts import zero
from rt_tf.attacks.task import Task

KEY = tf.constant([1], tf.int64)

threats = pytest.mark.parametrize("name", linear.THREATS)


@threats
@pytest.mark.parametrize("seed", range(3))
def test_moves_onto_a_hyperplane_are_the_smallest(name, seed):
    rng = np.random.default_rng(seed)
    x, w = linear.images(6, (7,), seed), rng.standard_normal((6, 7))
    w[0, :3] = 0.0
    farthest = np.where(w > 0.0, w * (1.0 - x), -w * x).sum(axis=1)
    rise = farthest * [0.01, 0.3, 0.6, 0.9, 0.99, 0.0]
    moves = onto(name, *(tf.constant(v, tf.float32) for v in (x, w, rise)), (0.0, 1.0)).numpy()
    ends = (x + moves).clip(0.0, 1.0)
    np.testing.assert_allclose(x + moves, ends, atol=1e-6)
    np.testing.assert_allclose((w * moves).sum(axis=1), rise, atol=2e-5)
    for v, i, r, move in zip(w, x, rise, moves, strict=True):
        best = linear.distance(name, v, i.astype(float), r)
        assert np.linalg.norm(move, linear.ORDERS[name]) == pytest.approx(best, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
def test_the_way_to_a_counterexample_is_shortened_to_the_boundary(power):
    """In a few steps, on a way along which the lead is straight or bends."""

    def network(x):
        lead = x[:, 0] ** power - 0.5**power
        return tf.stack([tf.zeros_like(lead), lead], axis=1)

    region = linear.region("linf", np.zeros((2, 1)), 0.9)
    task = Task(network, region, tf.zeros([2], tf.int64), noise.keys(KEY, tf.range(2)))
    far = Nearest(tf.constant([[0.9], [0.6]]), tf.constant([0.9, 0.6]))
    near = shortened(task, far, early_stop=False)
    np.testing.assert_array_equal(near.x[:, 0], near.distance)
    assert (near.distance.numpy() > 0.5).all()
    assert (near.distance.numpy() < 0.5 * 1.05).all()


@threats
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_where_the_hyperplane_is_out_of_range_moves_go_all_the_way(name, sign):
    x, w = np.float32([[0.2, 0.7, 0.5]]), np.float32([[1.0, -2.0, 0.0]])
    moves = onto(name, tf.constant(x), tf.constant(w), tf.constant([sign * 9.0]), (0.0, 1.0))
    expected = [0.8, -0.7, 0.0] if sign > 0 else [-0.2, 0.3, 0.0]
    np.testing.assert_allclose(moves[0], expected, atol=1e-6)


@threats
def test_the_distance_to_the_boundary_is_scipys(name):
    """The least of two wrong classes': within three thousandths, and never below."""
    x, w = linear.images(8), linear.slopes(others=2)
    offset = -(x.reshape(8, -1) @ w).max(axis=0) - [0.3, 0.5]
    task = linear.task(name, x, w, offset, eps=12.0)
    attack = functools.partial(fab_t, steps=5, early_stop=False)
    point = tf.function(lambda: attack(task, zero(task)), autograph=False)()
    assert task.errs(task.logits(point)).numpy().all()
    sizes = linear.size(name, point, x)
    for image, size in zip(x, sizes, strict=True):
        image = image.ravel().astype(float)
        rises = -(image @ w + offset)
        best = min(linear.distance(name, v, image, r) for v, r in zip(w.T, rises, strict=True))
        assert best * (1 - 1e-5) - 1e-6 <= size <= best * 1.003
    _only_what_fits_is_returned(name, x, w, offset, sizes)


def _only_what_fits_is_returned(name, x, w, offset, sizes):
    eps = float(np.median(sizes))
    task = linear.task(name, x, w, offset, eps=eps)
    point = fab_t(task, zero(task), steps=5)
    assert task.region.inside(point).numpy().all()
    errs = task.errs(task.logits(point)).numpy()
    np.testing.assert_array_equal(errs[sizes < 0.999 * eps], True)
    np.testing.assert_array_equal(errs[sizes > 1.001 * eps], False)
