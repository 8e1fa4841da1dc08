"""The attack on cascades, against what a grid shows and where everything is known by hand."""

import functools
from collections.abc import Callable

import keras
import numpy as np
import pytest
import tensorflow as tf
from planar import EPS, SIDE, answered, answers, grid, member, neighbours

from rt_tf import catalogue, layers
from rt_tf.attacks import noise
from rt_tf.attacks.gradient.cascade import cascade_attack
from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.attacks.gradient.refutation import Refutation, assent
from rt_tf.attacks.judging import attack_with_restarts
from rt_tf.attacks.starts import uniform
from rt_tf.attacks.task import Task
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.threats.region import Region

STEPS, COUNT = 10, 24
Found = tuple[np.ndarray, np.ndarray]  # success, points


@pytest.fixture(autouse=True, scope="module")
def full_products() -> None:
    tf.config.experimental.enable_tensor_float_32_execution(False)


def task_on(
    networks: list[keras.Model], x: tf.Tensor, labels: tf.Tensor, threat: str = "linf"
) -> Refutation:
    members = tuple(trace(network).lower() for network in networks)
    keys = noise.keys(tf.constant([1, 2], tf.int64), tf.range(tf.shape(x)[0]))
    region = Region(catalogue.threat(threat, {"radii": (1.0, 1.0, 1.0)}), x, EPS)
    return Refutation(members[0], region, labels, keys, members=members)


@functools.cache
def networks() -> list[keras.Model]:
    """The members of the cascade `answered(0, 2)`."""
    return [member(0), member(1)]


def search(attack: Callable[..., tf.Tensor], rows: np.ndarray, labels: np.ndarray) -> Found:
    """The result of an attack around points of the grid."""
    task = task_on(networks(), tf.constant(grid()[rows]), tf.constant(labels[rows]))
    success, x = attack_with_restarts(task, functools.partial(attack, steps=STEPS), uniform)
    return success.numpy(), x.numpy()


def drawn(chosen: np.ndarray, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.flatnonzero(chosen))[:COUNT]


def wrong_nearby(answers: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Whether a point of the grid within EPS has another answer than the label: [SIDE * SIDE]."""
    others = [(near != labels) & (near >= 0) for near in neighbours(answers)]
    return np.any(others, axis=0).ravel()


def test_it_finds_what_the_grid_shows_and_the_plain_attack_does_not() -> None:
    labels = networks()[0](grid()).numpy().argmax(1)
    rows = drawn(wrong_nearby(answered(0, 2), labels.reshape(SIDE, SIDE)), 0)
    success, x = search(cascade_attack, rows, labels)
    labelled = answers(networks(), x)
    np.testing.assert_array_equal((labelled >= 0) & (labelled != labels[rows]), success)
    assert (np.abs(x.astype(float) - grid()[rows]) < EPS)[success].all()
    plain, _ = search(pgd, rows, labels)
    assert success.mean() >= 0.9
    assert plain.sum() < success.sum()


def test_it_finds_nothing_around_what_the_cascade_answers() -> None:
    labels = answered(0, 2).ravel()
    rows = drawn((labels >= 0) & wrong_nearby(answered(0, 2, agree=False), answered(0, 2)), 0)
    success, _ = search(cascade_attack, rows, labels)
    assert len(rows) > 0
    assert not success.any()


def test_it_refutes_a_cascade_whose_members_need_not_agree() -> None:
    """So the test above can fail."""
    broken = answered(0, 2, agree=False)
    rows = drawn((broken.ravel() >= 0) & wrong_nearby(broken, broken), 0)
    success, x = search(cascade_attack, rows, broken.ravel())
    labelled = answers(networks(), x, agree=False)
    assert ((labelled >= 0) & (labelled != broken.ravel()[rows]))[success].all()
    assert success.mean() > 0.2


def line(pixel: int, border: float) -> keras.Model:
    """Says 1 where a coordinate is above a border, by 10 times as much; else 0."""
    point = keras.Input((1, 2, 1))
    network = keras.Model(point, layers.Dense(2)(layers.Flatten()(point)))
    weights = np.zeros((2, 2), np.float32)
    weights[pixel, 1] = 10.0
    network.set_weights([weights, np.array([10.0 * border, 0.0], np.float32)])
    return network


def lines_task(threat: str = "linf") -> Refutation:
    """The first says 1 above .5 in x, the second above .6 in y; all points are labelled 1.

    So 0 is answered where x < .5 and y < .6 - EPS, or x < .5 - EPS, whatever the threat.
    """
    points = [(0.51, 0.595), (0.51, 0.605), (0.535, 0.5), (0.49, 0.2), (0.49, 0.7), (0.505, 0.7)]
    x = tf.constant(points, tf.float32)[:, None, :, None]
    return task_on([line(0, 0.5), line(1, 0.6)], x, tf.ones(len(points), tf.int64), threat)


@pytest.mark.parametrize("threat", ["linf", "l1", pytest.param("union", marks=pytest.mark.slow)])
def test_lines_are_answered_wrongly_where_they_can_be(threat: str) -> None:
    """The first point has to move by .01 in one coordinate and by .025 in the other."""
    task = lines_task(threat)
    success, x = attack_with_restarts(task, functools.partial(cascade_attack, steps=STEPS), uniform)
    np.testing.assert_array_equal(success, [threat != "l1", False, False, True, True, False])
    if success[0]:
        assert x[0, 0, 0, 0] < 0.5
        assert x[0, 0, 1, 0] < 0.6 - EPS
    assert x[4, 0, 0, 0] < 0.5 - EPS
    np.testing.assert_array_equal(task.errs_at(task.region.x), np.arange(6) == 3)


def test_what_an_answer_takes() -> None:
    task = lines_task()
    zeros = tf.zeros(6, tf.int64)
    both = assent(task, zeros, 2, certified=True)
    x, y = task.region.x.numpy()[:, 0, :, 0].T
    leads = [10 * (0.5 - x), 10 * (0.6 - y), 10 * (0.6 - y - EPS)]
    np.testing.assert_allclose(both.logits(task.region.x), np.transpose(leads), atol=1e-5)
    np.testing.assert_array_equal(both.errs_at(task.region.x), np.arange(6) == 3)
    first = assent(task, zeros, 1, certified=False).take(tf.constant([3, 0]))
    np.testing.assert_allclose(first.logits(first.region.x), [[0.1], [-0.1]], atol=1e-5)


def test_it_is_for_cascades_alone() -> None:
    task = lines_task()
    alone = Task(task.network, task.region, task.labels, task.keys)
    with pytest.raises(UserError, match="expected the task of refuting a cascade.*received a Task"):
        cascade_attack(alone, alone.region.x, steps=1)
