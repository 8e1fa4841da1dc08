"""The constants of the rounding error model, against their definitions."""

import math
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf

from rt_tf.bounds import rounding
from rt_tf.bounds.intermediate import Ends, _cut
from rt_tf.bounds.result import Box
from rt_tf.network.ops import Activation, Affine, Lines, Positive

UNIT = float(np.finfo(np.float32).eps) / 2  # from NumPy: the largest relative error of a rounding
TINY = float(np.finfo(np.float32).tiny)


def dense(terms: int, weight: float = 1.0) -> Affine:
    """A product with one output of so many equal weights."""
    kernel, bias = tf.fill([terms, 1], weight), tf.zeros([1])
    return Affine(tf.matmul, kernel, bias, terms, 1, tf.abs(bias))


def test_the_constants_are_float32s_and_float64s():
    assert UNIT == rounding.UNIT
    assert TINY == rounding.TINY
    assert np.finfo(np.float64).eps / 2 == rounding.DOUBLE_UNIT


@pytest.mark.parametrize("terms", [1, 7, 64, 1000])
def test_forward_error_pays_for_network_and_bound(terms):
    """Twice gamma of the products and the bias, and not a hundred times that."""
    size, magnitude = tf.fill([1, terms], 3.0), tf.constant([[3.0 * terms]])
    error = rounding.forward_error(dense(terms), size, magnitude).numpy().item()
    least = 2.0 * (terms + 1) * UNIT * 3.0 * terms
    assert least < error < 10.0 * least


@pytest.mark.parametrize("terms", [1, 7, 64, 1000])
def test_backward_error_pays_for_network_transpose_and_offsets(terms):
    size, magnitude = tf.fill([1, terms], 3.0), tf.constant([[3.0 * terms]])
    error = rounding.backward_error(dense(terms), size, magnitude).numpy().item()
    least = (terms + 1 + 1 + rounding.BLOCK) * UNIT * 3.0 * terms
    assert least < error < 10.0 * least
    sum_ = Positive(lambda *x: tf.add_n(x), terms)
    error = rounding.backward_error(sum_, size, magnitude).numpy().item()
    least = 2.0 * terms * UNIT * 3.0 * terms
    assert least < error < 10.0 * least


def test_the_magnitudes_are_sums_whose_own_rounding_is_paid_for():
    """A computed sum of so many sizes may be too small by its own gamma (Higham 2002, ch. 3)."""
    terms = 10**5
    gamma = (terms + 1) * UNIT / (1.0 - (terms + 1) * UNIT)
    size, magnitude = tf.fill([1, terms], 3.0), tf.constant([[3.0 * terms]])
    forward = rounding.forward_error(dense(terms), size, magnitude).numpy().item()
    assert forward >= 2.0 * gamma * 3.0 * terms / (1.0 - gamma)
    backward = rounding.backward_error(dense(terms), size, magnitude).numpy().item()
    assert backward >= (gamma + rounding.BLOCK * UNIT) * 3.0 * terms / (1.0 - gamma)
    sum_ = Positive(lambda *x: tf.add_n(x), terms)
    backward = rounding.backward_error(sum_, size, magnitude).numpy().item()
    assert backward >= 2.0 * gamma * 3.0 * terms / (1.0 - gamma)


@pytest.mark.parametrize("ulps", [0.0, 6.0])
def test_relaxation_error_pays_for_the_function_and_for_its_lines(ulps):
    op = Activation(tf.nn.relu, lambda *_: None, ulps=ulps, absolute=1e-9)
    lines = Lines(tf.constant(0.5), tf.constant(0.25), tf.constant(-2.0), tf.constant(-4.0))
    error = rounding.relaxation_error(op, lines, [tf.constant(3.0)], tf.constant(5.0)).numpy()
    sizes, offsets = (ulps + 2.0) * (2.0 * 3.0 + 5.0), rounding.BLOCK * (0.25 + 4.0)
    least = UNIT * (sizes + offsets) + 1e-9
    assert least < error < 20.0 * least


@pytest.mark.parametrize(
    ("source", "size", "offset", "absolute", "least"),
    [
        (3.0, 0.0, 0.0, 0.0, 2.0 * 8.0 * UNIT * 3.0),
        (0.0, 5.0, 0.0, 0.0, 8.0 * UNIT * 5.0),
        (0.0, 0.0, -4.0, 0.0, rounding.BLOCK * UNIT * 4.0),
        (0.0, 0.0, 0.0, 1e-9, 1e-9),
        (0.0, 0.0, 0.0, 0.0, TINY),
    ],
)
def test_each_of_an_activation_s_errors_is_paid_for(source, size, offset, absolute, least):
    """Errors without any other: six units in the last place of the function, and its lines'."""
    op = Activation(tf.nn.relu, lambda *_: None, ulps=6.0, absolute=absolute)
    lines = Lines(*map(tf.constant, (0.5, 0.0, -2.0, offset)))
    error = rounding.relaxation_error(op, lines, [tf.constant(source)], tf.constant(size)).numpy()
    assert least <= error < 20.0 * least


def test_flushing_costs_the_smallest_normal_number_times_the_largest_factor():
    flushed = rounding.underflow(dense(5, weight=-200.0), tf.constant([[3.0, 700.0], [1.0, 2.0]]))
    terms = 4.0 * (5 + 1) * TINY
    np.testing.assert_allclose(flushed, [terms * (1 + 200 + 700), terms * (1 + 200 + 2)], rtol=1e-6)


@pytest.mark.parametrize("unbounded", [math.nan, math.inf, -math.inf])
def test_ends_that_are_no_numbers_cut_nothing(unbounded):
    """An overflow in the pass that bounds a layer anew leaves the ends of intervals."""
    box = Box(tf.fill([1, 4], -1.0), tf.fill([1, 4], 1.0))
    mask, numbers = tf.constant([[True, True, True, False]]), tf.constant([[0, 1, 2, 3]])
    lower = tf.constant([[unbounded, -0.5, -2.0, 0.5]])
    upper = tf.constant([[0.5, unbounded, 2.0, -0.5]])
    cut = _cut(box, mask, numbers, Ends(lower, upper))
    np.testing.assert_array_equal(cut.lower, [[-1.0, -0.5, -1.0, -1.0]])
    np.testing.assert_array_equal(cut.upper, [[0.5, 1.0, 1.0, 1.0]])


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
