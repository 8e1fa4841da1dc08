"""The pointwise attack: no moved pixel can be spared, whichever batch an image comes in."""

import dataclasses

import linear
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.attacks.blackbox.pointwise import pointwise
from rt_tf.attacks.judging import check_success
from rt_tf.errors import UserError


def run(task, steps=20):
    return pointwise(task, task.region.x, steps)


@pytest.mark.parametrize("threat", ["l1", "l2"])
def test_it_finds_what_the_judge_accepts(threat):
    task = linear.task(threat)
    assert check_success(task, run(task)).success.numpy().all()


def test_no_moved_pixel_can_be_set_back_and_none_much_nearer():
    """On a linear network, where the order of the others' moves is of no consequence."""
    task = linear.task("l1")
    x = run(task).numpy().reshape([linear.COUNT, 16])
    original = task.region.x.numpy().reshape([linear.COUNT, 16])
    assert task.errs(linear.network(tf.constant(x))).numpy().all()
    moved = x != original
    assert (moved.sum(axis=1) <= 3).all()  # of the sixteen; one or two may be needed
    for example, pixel in zip(*np.nonzero(moved), strict=True):
        for way in (1.0, 0.05):  # all of the way back, and some of it
            trial = x.copy()
            trial[example, pixel] += way * (original - x)[example, pixel]
            errs = task.errs(linear.network(tf.constant(trial))).numpy()
            assert not errs[example]


def test_without_rounds_it_is_salt_and_pepper():
    task = linear.task("l1")
    x, original = run(task, steps=0).numpy(), task.region.x.numpy()
    assert task.errs(task.logits(x)).numpy().all()
    assert np.isin(x[x != original], [0.0, 1.0]).all()
    assert (linear.moves(task, run(task)) < linear.moves(task, tf.constant(x))).all()


def test_an_example_is_attacked_alike_in_any_batch_and_compiled():
    task = linear.task("l1")
    whole, rows = run(task), tf.constant([4, 1])
    part = tf.function(lambda: run(task.take(rows)), autograph=False)()
    np.testing.assert_allclose(part, tf.gather(whole, rows), atol=1e-6)


def test_keys_decide():
    assert not np.array_equal(run(linear.task("l1", seed=0)), run(linear.task("l1", seed=1)))


def test_where_the_network_errs_already_or_never_the_image_is_left():
    labels = tf.zeros(linear.COUNT, tf.int64)
    task = linear.task("l1", labels=labels)
    np.testing.assert_array_equal(run(task)[1::2], task.region.x[1::2])
    never = dataclasses.replace(task, network=lambda x: linear.network(0.0 * x))
    np.testing.assert_array_equal(run(never, steps=2), task.region.x)


def test_a_step_size_is_refused():
    with pytest.raises(UserError, match="step_size: expected 0: .*; received 0.5"):
        pointwise(linear.task("l1"), None, steps=1, step_size=0.5)
