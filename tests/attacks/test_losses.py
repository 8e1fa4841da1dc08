"""The losses that attacks raise, against values computed by hand."""

import dataclasses

import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.attacks.judging import attack_with_restarts
from rt_tf.attacks.losses import cross_entropy, dlr, dlr_or_margin, margin, odds
from rt_tf.attacks.starts import uniform
from rt_tf.attacks.targets import aimed, rivals
from rt_tf.attacks.task import Task
from rt_tf.errors import UserError
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

LOGITS = tf.constant([[3.0, 1.0, 2.0, -1.0], [0.0, 4.0, 1.0, 2.0]])
LABELS = tf.constant([0, 2])
TARGETS = tf.constant([1, 3])


def test_values_without_targets():
    softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    expected = {
        "ce": -np.log([softmax[0, 0], softmax[1, 2]]),
        "margin": [2.0 - 3.0, 4.0 - 1.0],
        "dlr": [-1.0 / (3.0 - 1.0), 3.0 / (4.0 - 1.0)],
        "odds": [
            np.log(np.exp(5) + np.exp(10) + np.exp(-5)) - 15,
            np.log(np.exp(0) + np.exp(20) + np.exp(10)) - 5,
        ],
    }
    assert set(expected) == set(catalogue.LOSSES)
    for name, values in expected.items():
        np.testing.assert_allclose(
            catalogue.resolve("loss", name)(LOGITS, LABELS, None), values, rtol=1e-6
        )


def test_values_with_targets():
    softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    expected = {
        "ce": np.log([softmax[0, 1], softmax[1, 3]]),
        "margin": [1.0 - 3.0, 2.0 - 1.0],
        "dlr": [-2.0 / (3.0 - 0.5 * (1.0 - 1.0)), 1.0 / (4.0 - 0.5 * (1.0 + 0.0))],
        "odds": [
            5 - np.log(np.exp(15) + np.exp(10) + np.exp(-5)),
            10 - np.log(np.exp(0) + np.exp(20) + np.exp(5)),
        ],
    }
    for name, values in expected.items():
        np.testing.assert_allclose(
            catalogue.resolve("loss", name)(LOGITS, LABELS, TARGETS), values, rtol=1e-6
        )


def test_a_class_aimed_at_is_one_way_to_err_or_the_only_one():
    """Without targets any other class than the label is an error; else the target alone."""
    region = Region(Linf(), tf.zeros([2, 1]), 0.0)
    free = Task(lambda x: LOGITS, region, LABELS, tf.zeros([2, 2], tf.int64))
    assert aimed(free, TARGETS, margin).errs(LOGITS).numpy().tolist() == [False, True]
    bound = dataclasses.replace(free, targets=TARGETS)
    assert aimed(bound, TARGETS, margin).errs(LOGITS).numpy().tolist() == [False, False]
    assert aimed(bound, tf.constant([0, 1]), margin).errs(LOGITS).numpy().tolist() == [True, True]
    np.testing.assert_array_equal(aimed(free, TARGETS, margin).values(tf.zeros([2, 1])), [-2, 1])
    np.testing.assert_array_equal(rivals(free, 2), [[2, 1], [1, 3]])
    np.testing.assert_array_equal(rivals(bound, 2), [[1], [3]])


def test_rivals_are_all_wrong_classes_where_there_are_fewer_than_wanted():
    region = Region(Linf(), tf.zeros([2, 1]), 0.0)
    task = Task(lambda x: LOGITS, region, LABELS, tf.zeros([2, 2], tf.int64))
    np.testing.assert_array_equal(rivals(task, 9), [[2, 1, 3], [1, 3, 0]])


def test_dlr_wants_more_classes_than_there_are():
    two = LOGITS[:, :2]
    with pytest.raises(UserError, match="expected at least 3 classes for dlr; received 2"):
        dlr(two, tf.constant([0, 1]))
    np.testing.assert_array_equal(
        dlr_or_margin(two, tf.constant([0, 1])), margin(two, tf.constant([0, 1]))
    )


def test_the_log_odds_rise_in_the_direction_of_the_cross_entropy_at_their_scale():
    logits = tf.constant(np.random.default_rng(0).standard_normal((20, 5)), tf.float32)
    labels = tf.range(20) % 5
    scaled = logits * (20.0 / (tf.reduce_max(logits, 1) - tf.reduce_min(logits, 1)))[:, None]
    ours = _direction(odds, logits, labels)
    known = tf.reduce_max(tf.abs(_slope(cross_entropy, scaled, labels)), 1) > 1e-3
    assert known.numpy().sum() > 10  # elsewhere the cross-entropy's own is lost to rounding
    theirs = _direction(cross_entropy, scaled, labels)
    np.testing.assert_allclose(ours[known], theirs[known], atol=1e-3)


def test_the_log_odds_of_two_classes_and_of_equal_logits_are_finite():
    two = _slope(odds, tf.constant([[1e5, 0.0], [0.0, 1e-5]]), tf.constant([0, 0]))
    np.testing.assert_allclose(two, [[-2e-4, 2e-4], [-2e6, 2e6]], rtol=1e-5)
    np.testing.assert_array_equal(
        _slope(odds, tf.zeros([1, 3]), tf.constant([1])), np.zeros((1, 3))
    )


@pytest.mark.parametrize("name", ["margin", "odds"])
@pytest.mark.parametrize("factor", [1e-5, 1e5])
def test_a_last_layer_times_any_factor_withstands_no_more(name, factor):
    plain = _withstanding(catalogue.resolve("loss", name), 1.0)
    assert 8 <= plain <= 22
    assert _withstanding(catalogue.resolve("loss", name), factor) == pytest.approx(plain, abs=1)


def test_the_default_attack_is_not_blind_where_the_cross_entropy_is():
    loss = catalogue.resolve("loss", "odds")
    assert _withstanding(cross_entropy, 1e5) > 25
    assert _withstanding(loss, 1e5) <= _withstanding(margin, 1e5) + 1
    assert _withstanding(loss, 1.0) <= _withstanding(cross_entropy, 1.0)


def _slope(loss, logits, labels):
    with tf.GradientTape() as tape:
        tape.watch(logits)
        total = tf.reduce_sum(loss(logits, labels, None))
    return tape.gradient(total, logits)


def _direction(loss, logits, labels):
    return tf.math.l2_normalize(_slope(loss, logits, labels), axis=1).numpy()


def _withstanding(loss, factor, count=30):
    """The number of 30 images that withstand 12 steps of PGD, the logits times a factor."""
    _, wiring = networks.known("conv_same")
    x = tf.constant(networks.images(wiring.input_shape, count))
    graph = wiring.lower()
    keys = noise.keys(tf.constant([3, 4], tf.int64), tf.range(count))
    labels = tf.argmax(graph(x), -1)
    task = Task(lambda z: factor * graph(z), Region(Linf(), x, 0.08), labels, keys, loss)
    result = attack_with_restarts(task, lambda some, start: pgd(some, start, 12), uniform)
    return int(tf.reduce_sum(tf.cast(~result.success, tf.int32)))
