"""Transfer: points from one network, verdicts from another."""

import dataclasses
import functools

import linear
import numpy as np
import tensorflow as tf

from rt_tf.attacks import starts
from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.attacks.judging import attack_with_restarts
from rt_tf.attacks.transfer import transferred

PGD = functools.partial(pgd, steps=4)


def turned(x):
    """A network that depends on half of the pixels alone."""
    return linear.network(x * tf.constant([1.0, 0.0, 1.0, 0.0])[:, None])


def test_the_points_are_the_sources_and_the_target_is_not_asked():
    def silent(x):
        raise AssertionError("the target was called")

    source = linear.task("l2", network=turned)
    points = transferred(PGD, turned)(dataclasses.replace(source, network=silent), source.region.x)
    np.testing.assert_array_equal(points, PGD(source, source.region.x))


def test_success_is_the_targets_to_say():
    task = linear.task("l2")
    points = transferred(PGD, turned)(task, task.region.x)
    result = attack_with_restarts(task, transferred(PGD, turned), starts.zero)
    np.testing.assert_array_equal(result.success, task.errs(task.logits(points)))
    assert result.success.numpy().any()
    constant = dataclasses.replace(
        task, network=lambda x: linear.network(0.0 * x), labels=tf.zeros_like(task.labels)
    )
    failed = attack_with_restarts(constant, transferred(PGD, turned), starts.zero)
    assert not failed.success.numpy().any()


def test_it_is_compiled_as_the_attack_is():
    task = linear.task("linf")
    attack = transferred(PGD, turned)
    compiled = tf.function(lambda: attack(task, task.region.x), autograph=False)
    np.testing.assert_allclose(compiled(), attack(task, task.region.x), atol=1e-6)
