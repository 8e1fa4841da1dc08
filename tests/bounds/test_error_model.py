"""The constants of the rounding error model, against their definitions."""

from fractions import Fraction

import pytest
import tensorflow as tf

from rt_tf.bounds import rounding
from rt_tf.network.ops import Affine


def test_long_sums_are_refused():
    with pytest.raises(ValueError, match="too long"):
        rounding.gamma(2**23)


@pytest.mark.parametrize("terms", [1, 2, 100, 10**5])
def test_gamma_covers_the_exact_bound(terms):
    """(1 + u)^n - 1 and 1 - (1 - u)^n, exactly."""
    unit, exact = Fraction(1, 2**24), Fraction(rounding.gamma(terms))
    assert exact >= terms * unit / (1 - terms * unit)


def test_forward_error_counts_the_bias():
    kernel, bias = tf.ones([2, 1]), tf.constant([1e6])
    op = Affine(tf.matmul, kernel, bias, 2, 1, tf.abs(bias))
    error = rounding.forward_error(op, tf.ones([1, 2]), tf.constant([[1e6 + 2]])).numpy()
    assert error.item() >= 2 * 2.0**-24 * 1e6
