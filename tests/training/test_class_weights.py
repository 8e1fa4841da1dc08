"""Weights of classes in the loss of a training step."""

import numpy as np
import tensorflow as tf

from rt_tf.threats.linf import Linf
from rt_tf.training.loop.step import step_function
from rt_tf.training.objectives.objective import Objective
from tests.training.small import batch, compiled, network


def test_an_example_counts_as_its_class_does() -> None:
    images, labels = batch(12)
    weights = (0.0, 0.5, 2.0)
    net = network()
    logits = np.asarray(net(images), np.float64)
    losses = np.log(np.exp(logits).sum(1)) - logits[np.arange(12), labels.numpy()]
    expected = (np.take(weights, labels.numpy()) * losses).mean()
    strategy = tf.distribute.get_strategy()
    step = step_function(strategy, compiled(Objective(Linf()), net), None, False, weights)
    terms = step((images, labels, tf.range(12)), tf.constant([0.0, 0.0, 0.1]))
    np.testing.assert_allclose(float(terms[0]), expected, rtol=1e-5)
    assert abs(losses.mean() - expected) > 0.01
