"""Foolbox's attacks: on a network whose boundary is known, judged by this library."""

import dataclasses
import os
import subprocess
import sys

import linear
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import starts
from rt_tf.attacks.judging import check_success
from rt_tf.errors import UserError

NAMES = [name for name, entry in catalogue.ATTACKS.items() if ".foolbox." in entry.path]
MINIMAL = [name for name in NAMES if catalogue.ATTACKS[name].minimal]
FEW = ("foolbox_pgd", "foolbox_mim", "deepfool", "boundary")
STEPS = {**dict.fromkeys(FEW, 4), "ead": 10}  # others: 25


def threats(names):
    """(attack, threat) for every threat that an attack is for."""
    return [
        (name, threat)
        for name in names
        for threat in catalogue.ATTACKS[name].threats or catalogue.THREATS
    ]


def run(name, task, start=starts.uniform, **settings):
    attack = catalogue.resolve("attack", name)
    return attack(task, start(task), **{"steps": STEPS.get(name, 25), **settings})


def at(task, **changes):
    """The task with another region."""
    return dataclasses.replace(task, region=dataclasses.replace(task.region, **changes))


@pytest.mark.parametrize(("name", "threat"), threats(NAMES))
def test_every_attack_finds_what_the_judge_accepts(name, threat):
    """And leaves the second, fourth and fifth example alone, on which the network errs already."""
    task = linear.task(threat, labels=tf.constant([0, 0, 0, 0, 1, 1], tf.int64))
    result = check_success(task, run(name, task))
    assert result.success.numpy().all()
    still = linear.moves(task, result.x) == 0.0
    assert still.tolist() == [False, True, False, True, True, False]


@pytest.mark.parametrize(
    ("name", "threat", "steps", "reach"),
    [
        *(("deepfool", "linf", 4, 1.03), ("deepfool", "l2", 4, 1.03)),
        *(("ddn", "l2", 50, 1.01), ("cw", "l2", 60, 1.7)),
        *(("fmn", "l1", 30, 1.03), ("ead", "l1", 30, 1.15)),
    ],
)
def test_the_smallest_move_is_the_distance_to_the_boundary(name, threat, steps, reach):
    """Though no success in a region that is smaller."""
    task = linear.task(threat, eps=1e-3)
    x = run(name, task, steps=steps)
    assert task.errs(task.logits(x)).numpy().all()
    shares = linear.moves(task, x) / linear.DISTANCE[threat]
    assert shares.min() >= 1.0 - 1e-4
    assert shares.max() <= reach
    assert not check_success(task, x).success.numpy().any()


def test_uniform_noise_goes_to_the_edge_of_the_ball():
    """Its largest move is the radius, but for rounding."""
    task = linear.task("linf")
    moves = linear.moves(task, run("uniform_noise", task))
    np.testing.assert_allclose(moves, linear.FAR["linf"], rtol=1e-3)


def test_the_boundary_attack_walks_towards_the_image():
    task = linear.task("l2")
    near, far = (linear.moves(task, run("boundary", task, steps=steps)) for steps in (120, 1))
    assert near.mean() < 0.9 * far.mean()


@pytest.mark.parametrize(
    ("name", "threat"),
    [("uniform_noise", "linf"), ("boundary", "l2"), ("salt_pepper", "l1")],
)
def test_the_same_keys_give_the_same_points_and_others_give_others(name, threat):
    points = [run(name, linear.task(threat, seed=seed)).numpy() for seed in (0, 0, 1)]
    np.testing.assert_array_equal(points[0], points[1])
    assert not np.array_equal(points[0], points[2])


@pytest.mark.parametrize(("name", "threat"), threats(["foolbox_pgd"]))
def test_ascents_begin_where_they_are_told(name, threat):
    task = linear.task(threat)
    np.testing.assert_allclose(run(name, task, steps=0), starts.uniform(task), atol=1e-6)


@pytest.mark.parametrize(("name", "threat"), threats(MINIMAL))
def test_a_network_that_never_errs_is_left_at_the_images(name, threat):
    labels = tf.zeros(linear.COUNT, tf.int64)
    task = linear.task(threat, network=lambda x: linear.network(0.0 * x), labels=labels)
    np.testing.assert_array_equal(run(name, task, steps=3), task.region.x)


def test_examples_without_a_start_leave_the_others_theirs():
    """Noise is never as bright as class 1: from class 0 it leads nowhere, from class 1 to 0."""

    def bright(x):
        level = tf.reduce_mean(x, axis=[1, 2, 3])
        return tf.stack([tf.zeros_like(level), level - 0.8], axis=1)

    task = linear.task("l2", eps=3.0, network=bright)
    level = tf.constant([0.2, 0.9] * 3)[:, None, None, None]
    task = at(task, x=level + 0.1 * task.region.x)
    result = check_success(task, run("boundary", task))
    assert result.success.numpy().tolist() == [False, True] * 3
    np.testing.assert_array_equal(result.x[::2], task.region.x[::2])


@pytest.mark.parametrize("name", ["foolbox_pgd", "gaussian_noise"])
def test_every_example_has_its_own_radius(name):
    task = at(linear.task("l2"), eps=tf.constant([1.5, 0.0, 0.1, 1.5, 0.1, 1.6]))
    result = check_success(task, run(name, task))
    assert result.success.numpy().tolist() == [True, False, False, True, False, True]
    assert task.region.inside(result.x).numpy().all()


@pytest.mark.parametrize("name", ["foolbox_pgd", "ddn"])
def test_a_target_is_reached(name):
    """Though another class is nearer."""
    v = np.random.default_rng(2).choice([-1.0, 1.0], 16)

    def three(x):
        third = tf.linalg.matvec(tf.reshape(x, [-1, 16]) - 0.5, tf.constant(v, x.dtype))
        return tf.concat([linear.network(x), third[:, None] - 2.0], axis=1)

    targets = tf.fill([linear.COUNT], tf.constant(2, tf.int64))
    task = linear.task("l2", network=three, targets=targets, eps=2.0)
    assert check_success(task, run(name, task)).success.numpy().all()


def test_deepfool_takes_no_targets():
    with pytest.raises(UserError, match="targets: expected none"):
        run("deepfool", linear.task("l2", targets=tf.ones(linear.COUNT, tf.int64)))


@pytest.mark.parametrize("name", ["foolbox_pgd", "deepfool", "boundary"])
def test_compiled_code_refuses_them(name):
    assert catalogue.ATTACKS[name].eager
    with pytest.raises(UserError, match="runs in tf.function; received one of Foolbox's"):
        tf.function(lambda: run(name, linear.task("l2")), autograph=False)()


def test_a_threat_they_are_not_for_and_a_step_size_they_lack_are_refused():
    with pytest.raises(UserError, match="threat: expected one of l2; received 'linf'"):
        run("ddn", linear.task("linf"))
    with pytest.raises(UserError, match="step_size: expected 0: .*; received 0.1"):
        run("ddn", linear.task("l2"), step_size=0.1)


@pytest.mark.slow
def test_they_load_without_git_and_without_other_frameworks():
    program = "import sys; import rt_tf.attacks.foolbox.attacks; "
    program += "print({'torch', 'jax'} & set(sys.modules))"
    environment = {**os.environ, "PATH": "/nowhere"}
    environment.pop("GIT_PYTHON_REFRESH", None)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.stdout == "set()\n", done.stderr
