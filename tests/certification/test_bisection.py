"""The search for the largest certified radius, on answers that are known everywhere."""

import numpy as np
import pytest
import tensorflow as tf

from rt_tf.serving.bisection import STEPS, largest

CAP = 0.5  # so that all that is tried is exact in float32


class Recorder:
    """Certifies by a rule (radii [batch] -> [batch] int) and keeps the radii of each call."""

    def __init__(self, rule) -> None:
        self.rule = rule
        self.radii: list[np.ndarray] = []

    def __call__(self, radii: tf.Tensor, still_open: tf.Tensor) -> tf.Tensor:
        self.radii.append(np.where(still_open, radii, np.nan))
        return tf.constant(np.where(still_open, self.rule(radii.numpy()), 0), tf.int32)


def test_the_largest_of_a_grid_where_what_is_certified_is_monotone() -> None:
    limits = np.array([0.0, 1e-9, CAP / 2**STEPS, 0.1, 0.25, 0.3, 0.4999, 0.5, 7.0])
    certify = Recorder(lambda radii: radii <= limits)
    result = largest(certify, tf.fill(limits.shape, CAP))
    step = CAP / 2**STEPS
    np.testing.assert_array_equal(result.radius, np.minimum(limits // step * step, CAP))
    np.testing.assert_array_equal(result.by, limits >= step)
    assert len(certify.radii) == STEPS + 1


@pytest.mark.parametrize("seed", range(5))
def test_what_is_returned_was_certified_whatever_the_answers(seed: int) -> None:
    random = np.random.default_rng(seed)
    table = random.integers(-20, 3, (50, 2**STEPS + 1)).clip(min=0)  # in no order

    def rule(radii: np.ndarray) -> np.ndarray:
        return table[np.arange(50), np.round(radii / CAP * 2**STEPS).astype(int)]

    certify = Recorder(rule)
    result = largest(certify, tf.fill([50], CAP))
    radius, by = result.radius.numpy(), result.by.numpy()
    none = by == 0
    np.testing.assert_array_equal(by[~none], rule(radius)[~none])
    assert (radius[none] == 0.0).all()
    assert 0 < none.sum() < 50
    for row, one in enumerate(radius):
        tried = np.array([radii[row] for radii in certify.radii])
        certified = [r for r in tried[~np.isnan(tried)] if rule(np.full(50, r))[row]]
        assert one == max(certified, default=0.0)


def test_an_example_whose_cap_is_certified_is_asked_once() -> None:
    certify = Recorder(lambda radii: np.array([1, 0]))
    result = largest(certify, tf.constant([0.3, 0.3]))
    np.testing.assert_array_equal(result.radius, np.float32([0.3, 0.0]))
    assert np.isfinite([radii[0] for radii in certify.radii]).sum() == 1
    assert np.isfinite([radii[1] for radii in certify.radii]).sum() == STEPS + 1


def test_a_cap_of_zero_is_tried_and_those_below_or_undefined_find_nothing() -> None:
    result = largest(Recorder(lambda radii: 2 * (radii >= 0.0)), tf.constant([0.0, -1.0, np.nan]))
    np.testing.assert_array_equal(result.radius, [0.0, 0.0, 0.0])
    np.testing.assert_array_equal(result.by, [2, 0, 0])
