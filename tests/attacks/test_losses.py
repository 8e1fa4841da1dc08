"""The losses that attacks raise, against values computed by hand."""

import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks.losses import dlr, dlr_or_margin, margin
from rt_tf.errors import UserError

LOGITS = tf.constant([[3.0, 1.0, 2.0, -1.0], [0.0, 4.0, 1.0, 2.0]])
LABELS = tf.constant([0, 2])
TARGETS = tf.constant([1, 3])


def test_values_without_targets():
    softmax = np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True)
    expected = {
        "ce": -np.log([softmax[0, 0], softmax[1, 2]]),
        "margin": [2.0 - 3.0, 4.0 - 1.0],
        "dlr": [-1.0 / (3.0 - 1.0), 3.0 / (4.0 - 1.0)],
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
    }
    for name, values in expected.items():
        np.testing.assert_allclose(
            catalogue.resolve("loss", name)(LOGITS, LABELS, TARGETS), values, rtol=1e-6
        )


def test_dlr_wants_more_classes_than_there_are():
    two = LOGITS[:, :2]
    with pytest.raises(UserError, match="expected at least 3 classes for dlr; received 2"):
        dlr(two, tf.constant([0, 1]))
    np.testing.assert_array_equal(
        dlr_or_margin(two, tf.constant([0, 1])), margin(two, tf.constant([0, 1]))
    )
