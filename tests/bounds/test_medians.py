"""Medians by a sorting network are those of sorting, with their gradients."""

import numpy as np
import pytest
import tensorflow as tf

from rt_tf.bounds.estimates.medians import FEW, median


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 10, 13, 32, 50, FEW, FEW + 1, 90])
def test_medians_of_any_number(count):
    values = np.random.default_rng(count).standard_normal([3, count, 5]).astype(np.float32)
    ranked = np.sort(values, axis=1)[:, (count - 1) // 2]
    np.testing.assert_array_equal(median(tf.constant(values)), ranked)


@pytest.mark.parametrize("count", [3, 10, FEW + 6])
def test_the_gradient_goes_to_the_median(count):
    values = tf.random.stateless_normal([2, count, 4], [count, 1])
    weights = tf.random.stateless_normal([2, 4], [count, 2])
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = tf.reduce_sum(weights * median(values))
    gradient = tape.gradient(loss, values).numpy()
    place = np.argsort(values, axis=1)[:, [(count - 1) // 2]]
    np.testing.assert_array_equal(np.take_along_axis(gradient, place, axis=1)[:, 0], weights)
    assert (gradient != 0.0).sum() == weights.numpy().size
