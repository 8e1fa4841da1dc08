"""Networks and inputs that cannot be attacked are refused in one line that says why."""

import linear
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.attacks.preflight import check_inputs, check_network
from rt_tf.domain import UNIT, UNLIMITED, Domain
from rt_tf.errors import UserError

IMAGES = np.linspace(0.0, 1.0, 24, dtype=np.float32).reshape([3, 2, 2, 2])
LABELS = np.array([0, 9, 4])


def refused(match, images=IMAGES, labels=LABELS, domain=UNIT):
    with pytest.raises(UserError, match=match) as caught:
        check_inputs(images, labels, 10, domain)
    assert "\n" not in str(caught.value)


def test_good_inputs_pass():
    check_inputs(IMAGES, LABELS, 10)
    check_inputs(255.0 * IMAGES - 1.0, LABELS, 10, Domain(-1.0, 254.0))


def test_pixels_out_of_range():
    refused(r"images: expected .* the domain \[0, 1\]; received 11.* and 22 others", 255 * IMAGES)
    refused(r"the domain \[-0.5, 0.5\]; received .* and 11 others", domain=Domain(-0.5, 0.5))
    refused(r"received -0.00999.* at .* and 0 others", np.where(IMAGES == 0.0, -0.01, IMAGES))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite(value):
    match = f"images: expected values within the domain .*; received {value:g} at .* 0 others"
    refused(match, np.where(IMAGES == 0.0, value, IMAGES), domain=UNLIMITED)


def test_labels_out_of_range():
    refused("labels: expected classes 0 to 9; received 1 others of 3, as 10", labels=LABELS + 1)
    refused("labels: expected classes 0 to 9; received 1 others of 3, as -1", labels=LABELS - 1)


def test_labels_of_another_kind_or_number():
    refused("labels: expected integers; received float64", labels=LABELS.astype(float))
    refused("labels: expected 3, as many as images; received 2", labels=LABELS[:2])


def test_a_network_with_a_gradient_passes():
    check_network(linear.network, linear.images().numpy(), np.array([0, 1] * 3))


@pytest.mark.parametrize(
    ("spoil", "received"),
    [
        (tf.stop_gradient, "none"),
        (lambda x: tf.cast(tf.cast(255.0 * x, tf.int32), tf.float32), "none"),
        (lambda x: tf.sqrt(0.0 * x), "one that is not finite"),
    ],
)
def test_a_network_without_a_gradient_is_told_of_attacks_that_need_none(spoil, received):
    match = f"network: expected one with a gradient .*; received {received}; .* square works"
    with pytest.raises(UserError, match=match):
        check_network(
            lambda x: linear.network(spoil(x)), linear.images().numpy(), np.array([0, 1] * 3)
        )
