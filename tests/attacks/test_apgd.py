"""Auto-PGD: the worst case of linear classifiers, checkpoints, the ensemble on a network."""

import dataclasses
import functools
import itertools

import linear_tasks as linear
import numpy as np
import pytest
import tensorflow as tf
import victims
from networks import mostly_slow

from rt_tf.attacks.gradient.apgd import apgd, apgd_t, rises_needed
from rt_tf.attacks.gradient.apgd_l1 import sparse_signs
from rt_tf.attacks.losses import margin
from rt_tf.attacks.starts import uniform

threats = pytest.mark.parametrize("name", linear.THREATS)
network_threats = pytest.mark.parametrize("name", mostly_slow(linear.THREATS, ["linf"]))
ensemble = pytest.mark.parametrize("attack", victims.ENSEMBLE)
both = pytest.mark.parametrize(
    "both",  # L1 has a search of its own in two of them
    mostly_slow(
        list(itertools.product(linear.THREATS, victims.ENSEMBLE)),
        [("linf", attack) for attack in victims.ENSEMBLE] + [("l1", "apgd"), ("l1", "square")],
    ),
)


@threats
def test_linear_losses_are_maximised_within_ball_and_pixel_range(name):
    """Against SciPy; where something errs, examples are left as soon as they do."""
    x, w = linear.images(12), linear.slopes()
    flat = x.reshape(12, -1).astype(float)
    best = np.array([linear.greatest(name, w[:, 0], i, linear.RADII[name]) for i in flat])

    @functools.partial(tf.function, autograph=False)
    def attacked(offset):
        task = linear.task(name, x, w, offset)
        point = apgd(task, uniform(task), steps=50)
        return task.values(point) - offset, task.region.inside(point)

    reached, inside = attacked(tf.constant([-99.0]))
    assert inside.numpy().all()
    short = {"linf": 0.0, "l2": 1e-3, "l1": 0.05}[name] * (best - flat @ w[:, 0])
    assert (reached.numpy() >= best - short - 2e-5).all()
    assert (reached.numpy() <= best + 2e-5).all()
    middle = np.median(best).astype(np.float32)
    reached, inside = attacked(-middle[None])
    assert inside.numpy().all()
    np.testing.assert_array_equal(reached.numpy()[best > middle + 0.02] > middle, True)


@threats
def test_the_radius_may_be_in_double_precision(name):
    x, w = linear.images(12), linear.slopes()
    radius = tf.constant(linear.RADII[name], tf.float64)
    tasks = [linear.task(name, x, w, tf.constant([-99.0]), eps) for eps in (None, radius)]
    single, double = (apgd(task, uniform(task), steps=5) for task in tasks)
    np.testing.assert_allclose(double, single, atol=1e-6)


@network_threats
def test_the_ensemble_finds_what_pgd_finds_and_more(name):
    by_pgd = victims.successes(name, "pgd")
    each = {attack: victims.successes(name, attack) for attack in victims.ENSEMBLE}
    success = np.any(list(each.values()), axis=0)
    assert (success >= by_pgd).all()
    assert by_pgd.any()
    assert not success.all()
    assert each["apgd"].sum() >= by_pgd.sum()
    for attack in ("apgd_t", "fab_t", "square"):
        assert each[attack].sum() >= 0.6 * success.sum(), attack


@both
def test_an_example_is_attacked_alike_in_any_batch(both):
    """Up to rounding, which decides a step of FAB's now and then: batches differ in it."""
    whole, some = tf.range(victims.COUNT), tf.range(7, 12)
    expected = tf.gather(victims.compiled(*both)(whole), some)
    apart = tf.abs(victims.compiled(*both)(some) - expected).numpy()
    alike = apart.reshape(len(apart), -1).max(axis=1) < 1e-5
    assert alike.sum() >= len(alike) - (both[1] == "fab_t")
    assert victims.task(both[0]).take(some).region.inside(expected).numpy().all()


@network_threats
@ensemble
def test_compiled_is_eager(name, attack):
    some = tf.range(9, 11)
    eager = victims.points(attack, victims.task(name).take(some))
    np.testing.assert_allclose(eager, victims.compiled(name, attack)(some), atol=1e-5)


@both
def test_no_examples(both):
    name, attack = both
    none = victims.task(name).take(tf.range(0))
    assert victims.compiled(name, attack)(tf.range(0)).shape == none.region.x.shape
    assert victims.points(attack, none).shape == none.region.x.shape


@ensemble
def test_no_steps_return_the_image(attack):
    task = victims.task("linf").take(tf.range(2))
    run, _ = victims.ATTACKS[attack]
    np.testing.assert_array_equal(run.func(task, task.region.x, steps=0), task.region.x)


@pytest.mark.parametrize(("attack", "passes"), [("apgd", 1), ("fab_t", 2), ("square", 1)])
def test_examples_misclassified_cost_nothing_more(attack, passes):
    task, rows = victims.task("linf", 0.3), []  # a radius at which nearly all are found

    def network(x):
        rows.append(len(x))
        return task.network(x)

    run, start = victims.ATTACKS[attack]
    run.func(dataclasses.replace(task, network=network), start(task), steps=20)
    assert sum(rows) < 0.7 * passes * 20 * victims.COUNT


@ensemble
def test_targets_are_reached_and_nothing_else_counts(attack):
    usual = victims.task("linf", 0.3).take(tf.range(8))
    logits = usual.logits(usual.region.x).numpy()
    targets = tf.constant(logits.argsort(axis=1)[:, -2])
    task = dataclasses.replace(usual, targets=targets, loss=margin)
    run, start = victims.ATTACKS[attack]
    answers = tf.argmax(usual.logits(run(task, start(task))), -1)
    assert (answers == targets).numpy().mean() >= 0.75


def test_other_classes_than_the_likeliest_are_tried():
    """A linear classifier whose second likeliest wrong class alone can be reached."""
    x = np.full((1, 2, 2, 1), 0.5, np.float32)
    w = np.stack([np.zeros(4), np.ones(4)], axis=1)
    task = linear.task("linf", x, w, [-0.1, -2.4])
    for classes, success in ((1, False), (2, True)):
        point = apgd_t(task, uniform(task), steps=10, classes=classes)
        assert task.errs(task.logits(point)).numpy().all() == success


@pytest.mark.parametrize(
    ("steps", "checkpoints"),
    [(100, [22, 41, 57, 70, 80, 87, 93, 99]), (10, [3, 5, 6, 7, 8, 9]), (1, []), (0, [])],
)
def test_checkpoints_are_those_of_the_paper(steps, checkpoints):
    needed = rises_needed(steps)
    assert list(np.flatnonzero(needed)) == checkpoints
    np.testing.assert_allclose(needed[checkpoints], 0.75 * np.diff([0, *checkpoints]))


def test_sparse_signs_by_hand():
    gradient = tf.constant([[3.0, -4.0, 0.0, 1.0], [3.0, -4.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    signs = sparse_signs(gradient, tf.constant([2.0, 0.3, 2.0]))
    np.testing.assert_array_equal(signs, [[0.5, -0.5, 0, 0], [0, -1, 0, 0], [0, 0, 0, 0]])
