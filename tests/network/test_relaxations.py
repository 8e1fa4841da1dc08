"""Lines around every activation: sound in float32, as near as they can be, with true gradients."""

import numpy as np
import pytest
import tensorflow as tf
from networks import mostly_slow

from rt_tf.network.curves.lines import FAR
from tests.network.activation_cases import (
    CASES,
    LIMITED,
    QUICK,
    SMOOTH,
    TINY,
    UNIT,
    cases,
    intervals,
    kinds,
    moderate,
    slope_of,
)


def lines(name, lower, upper, kind, share=None):
    """The four lines in float64, of the type of lower."""
    lower, upper = tf.constant(lower), tf.constant(upper)
    share = 0.5 if share is None else share
    share = tf.constant(np.broadcast_to(share, lower.shape), lower.dtype)
    relaxed = CASES[name].activation.relax(lower, upper, slope_of(kind, share))
    zeros = tf.zeros_like(lower)
    return [np.asarray(zeros + (zeros if x is None else x), np.float64) for x in relaxed]


@cases
@kinds
def test_lines_enclose_the_function_up_to_the_rounding_that_their_users_add(name, kind):
    activation, exact, *_ = CASES[name]
    lower, upper = CASES[name].inside(*intervals())
    share = np.random.default_rng(1).choice([0.0, 0.1, 0.5, 0.77, 1.0], lower.shape)
    below, start, above, end = lines(name, lower, upper, kind, share)
    lower, upper = lower.astype(np.float64), upper.astype(np.float64)
    places = np.linspace(0.0, 1.0, 33) ** 3  # denser at the ends
    shares = np.concatenate([places, 1.0 - places])[:, np.newaxis]
    z = np.clip(lower * (1.0 - shares) + upper * shares, lower, upper)
    value = exact(z)
    size = np.maximum(1.0, np.maximum(np.abs(below), np.abs(above)))
    size = size * np.maximum(np.abs(lower), np.abs(upper)) + np.abs(value).max(axis=0)
    allowed = (16.0 + activation.ulps) * UNIT * size + activation.absolute + TINY
    assert (below * z + start <= value + allowed).all()
    assert (above * z + end >= value - allowed).all()


@pytest.mark.parametrize("name", mostly_slow(LIMITED, QUICK))
@kinds
def test_intervals_that_leave_the_domain_have_no_image_but_finite_lines(name, kind):
    activation, _, least, most, *_ = CASES[name]
    ends = [[np.nan, 1.0], [1.0, np.nan], [-np.inf, np.inf]]
    ends += [[-1.0, 3.0]] if CASES[name].sides else []
    ends += [[2.0 * least, 3.0]] if -np.inf < least < 0.0 else []
    ends += [[-3.0, 2.0 * most]] if most < np.inf else []
    ends = np.float32(ends).T
    assert not np.isfinite(activation.image(*ends)).any()
    below, start, above, end = lines(name, *ends, kind)
    assert ([below, above] == np.zeros_like(ends)).all()
    assert (start == -FAR).all()
    assert (end == FAR).all()


EXTREMES = np.float32([0.0, -0.0, 1e-45, -1e-45, 1.2e-38, -1.2e-38, 1e-19, 1.0, -1.0, 6.0, 90.0])
EXTREMES = np.concatenate([EXTREMES, -EXTREMES, np.float32([1e4, -1e4, 1e30, -1e30])])


@cases
@kinds
def test_values_and_gradients_are_finite_at_extremes(name, kind):
    lower, upper = (tf.constant(z.ravel()) for z in np.meshgrid(EXTREMES, EXTREMES))
    lower, upper = tf.minimum(lower, upper), tf.maximum(lower, upper)
    for value in (0.0, 0.3, 1.0):
        share = tf.fill(lower.shape, value)
        with tf.GradientTape() as tape:
            tape.watch([lower, upper, share])
            relaxed = CASES[name].activation.relax(lower, upper, slope_of(kind, share))
            total = 1e3 * tf.add_n([tf.reduce_sum(line) for line in relaxed if line is not None])
        none = tf.UnconnectedGradients.ZERO
        gradients = tape.gradient(total, [lower, upper, share], unconnected_gradients=none)
        for tensor in (*relaxed, *gradients):
            assert tensor is None or np.isfinite(tensor).all()


@cases
@kinds
def test_gradients_are_those_of_finite_differences(name, kind):
    """In float64, where two steps of difference agree: elsewhere the lines have a kink."""
    rng = np.random.default_rng(2)
    ends = np.sort(rng.normal(0.0, 2.5, (2, 400)), axis=0)
    ends = np.array(CASES[name].inside(*ends))
    ends[1] += 0.05
    at = [tf.constant(v) for v in (*ends, rng.uniform(0.05, 0.95, 400))]
    weights = rng.uniform(0.5, 1.5, (4, 1))

    def combined(lower, upper, share):
        relaxed = CASES[name].activation.relax(lower, upper, slope_of(kind, share))
        return sum(w * line for w, line in zip(weights, relaxed, strict=True) if line is not None)

    with tf.GradientTape() as tape:
        tape.watch(at)
        total = tf.reduce_sum(combined(*at))
    gradients = tape.gradient(total, at, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    for i, gradient in enumerate(gradients):

        def difference(step, i=i):
            ahead, back = (
                combined(*(v + sign * step * (i == k) for k, v in enumerate(at)))
                for sign in (1.0, -1.0)
            )
            return ((ahead - back) / (2.0 * step)).numpy()

        fine, coarse = difference(1e-6), difference(1e-4)
        smooth = np.abs(fine - coarse) <= 1e-3
        assert smooth.mean() > 0.9
        np.testing.assert_allclose(gradient.numpy()[smooth], fine[smooth], rtol=0.0, atol=5e-3)


@cases
@pytest.mark.parametrize("kind", ["parallel", "shared"])
def test_such_lines_are_parallel(name, kind):
    ends = CASES[name].inside(*intervals(300))
    below, _, above, _ = lines(name, *ends, kind, 0.3)
    np.testing.assert_array_equal(below, above)


def dense(count, power):
    """Numbers from 0 to 1 that are denser at both."""
    even = np.linspace(0.0, 1.0, count)
    return np.sort(np.concatenate([even, even**power, 1.0 - even**power]))


def sampled(name, count=200):
    """Intervals of moderate width, and f at many points of each: [count, points]."""
    lower, upper = moderate(name, count)
    z = lower[:, np.newaxis] + (upper - lower)[:, np.newaxis] * dense(201, 3)
    bends = np.clip([0.0, *CASES[name].bends], lower[:, np.newaxis], upper[:, np.newaxis])
    z = np.sort(np.concatenate([z, bends], axis=1), axis=1)
    return lower, upper, z, CASES[name].exact(z)


def every_slope(z, value):
    """Offsets of the nearest lines of many slopes around sampled values: ([slopes, count], ...).

    The slopes are those of chords between samples.
    """
    width = np.diff(z, axis=1)
    chords = np.diff(value, axis=1) / np.where(width > 1e-9, width, np.inf)
    chords = np.sort(chords, axis=1)[:, :: max(1, chords.shape[1] // 100)]
    slopes = np.concatenate([np.linspace(chords.min(axis=1), chords.max(axis=1), 101), chords.T])
    rest = value - slopes[..., np.newaxis] * z
    return slopes, rest.min(axis=2), rest.max(axis=2)


def reach(lower, upper, value):
    """The size of an interval, or of the values in it if that is larger."""
    return np.maximum(upper - lower, value.max(axis=1) - value.min(axis=1))


@cases
def test_parallel_lines_are_the_nearest_to_each_other(name):
    lower, upper, z, value = sampled(name)
    _, start, _, end = lines(name, lower, upper, "parallel")
    _, low, high = every_slope(z, value)
    best = (high - low).min(axis=0)
    assert (end - start <= best * 1.001 + 1e-3 * reach(lower, upper, value)).all()


@cases
def test_adaptive_lines_are_the_nearest_in_the_middle(name):
    lower, upper, z, value = sampled(name)
    below, start, above, end = lines(name, lower, upper, "adaptive")
    slopes, low, high = every_slope(z, value)
    middle, slack = 0.5 * (lower + upper), 3e-3 * reach(lower, upper, value)
    assert (below * middle + start >= (slopes * middle + low).max(axis=0) - slack).all()
    assert (above * middle + end <= (slopes * middle + high).min(axis=0) + slack).all()


def relu_row(below, above, end):
    return [below, 0.0, above, end]


THIRD = 1.0 / 3.0
FLAT = 0.5 - 1.0 / (1.0 + np.sqrt(2.0 / 3.0))  # of a tangent of the parabola from (-9, 0)
HAND = [  # activation, interval, kind, share, [lower slope, its offset, upper slope, its offset]
    ("relu", (-1, 2), "parallel", None, relu_row(2 / 3, 2 / 3, 2 / 3)),
    ("relu", (-1, 2), "adaptive", None, relu_row(1, 2 / 3, 2 / 3)),
    ("relu", (-2, 1), "adaptive", None, relu_row(0, THIRD, 2 / 3)),
    ("relu", (-1, 1), "adaptive", None, relu_row(0, 0.5, 0.5)),
    ("relu", (-1, 2), "optimised", 0.25, relu_row(0.25, 2 / 3, 2 / 3)),
    ("relu", (-1, 2), "optimised", 7.0, relu_row(1, 2 / 3, 2 / 3)),
    ("relu", (-1, 2), "shared", 0.25, relu_row(0.25, 0.25, 1.5)),  # (1 - lambda) u
    ("relu", (-1, 2), "shared", 0.75, relu_row(0.75, 0.75, 0.75)),  # -lambda l
    ("relu", (1, 2), "optimised", 0.25, relu_row(1, 1, 0)),
    ("relu", (-2, -1), "shared", 0.25, relu_row(0, 0, 0)),
    ("leaky_relu", (-1, 1), "parallel", None, relu_row(0.6, 0.6, 0.4)),
    ("leaky_relu", (-2, 1), "adaptive", None, relu_row(0.2, 1.4 / 3, 1.6 / 3)),
    ("leaky_relu", (-2, 1), "optimised", 0.5, relu_row(0.6, 1.4 / 3, 1.6 / 3)),
    ("relu6", (-3, 9), "adaptive", None, [2 / 3, 0, 2 / 3, 2]),
    ("relu6", (-6, 6), "adaptive", None, [1, 0, 0.5, 3]),
    ("relu6", (4, 9), "adaptive", None, [0.4, 2.4, 0, 6]),
    ("relu6", (4, 7), "adaptive", None, [2 / 3, 4 / 3, 1, 0]),
    ("hard_tanh", (-3, 3), "optimised", 1.0, [0.5, -0.5, 0.5, 0.5]),
    ("hard_tanh", (-3, 3), "optimised", 0.0, [0, -1, 0.5, 0.5]),
    ("sigmoid", (0, 0), "parallel", None, [0.25, 0.5, 0.25, 0.5]),
    ("softplus", (-1, 1), "optimised", 0.0, [0.26894142, 0.58220310, 0.5, 0.81326169]),
    ("softplus", (-1, 1), "optimised", 1.0, [0.73105858, 0.58220310, 0.5, 0.81326169]),
    ("softplus", (-1, 1), "adaptive", None, [0.5, np.log(2.0), 0.5, 0.81326169]),
    ("abs", (-1, 3), "adaptive", None, [1, 0, 0.5, 1.5]),
    ("abs", (-1, 3), "parallel", None, [0.5, 0, 0.5, 1.5]),
    ("falling_leaky_relu", (-4, 2), "adaptive", None, [-0.75, 0, -1 / 6, 7 / 3]),
    ("square", (-1, 3), "adaptive", None, [2, -1, 2, 3]),
    ("square", (-1, 3), "optimised", 0.0, [-2, -1, 2, 3]),
    ("cube", (-2, 3), "adaptive", None, [3, -2, 6.75, 6.75]),
    ("reciprocal", (1, 4), "adaptive", None, [-0.16, 0.8, -0.25, 1.25]),
    ("reciprocal", (-4, -1), "parallel", None, [-0.25, -1.25, -0.25, -1]),
    ("sqrt", (1, 9), "parallel", None, [0.25, 0.75, 0.25, 1]),
    ("hard_silu", (-6, 6), "adaptive", None, [0.5, 0, 0.5, 3]),
    ("hard_silu", (-9, -1), "adaptive", None, [FLAT, 9 * FLAT, 0, 0]),
    ("soft_shrink", (-2.5, 1.5), "adaptive", None, [2 / 3, -1 / 3, 0.5, 0.25]),
    ("sin", (0, np.pi), "adaptive", None, [0, 0, 0, 1]),
    ("sin", (-np.pi / 2, 1.5 * np.pi), "parallel", None, [0, -1, 0, 1]),
    ("elu", (-2, 0), "adaptive", None, [np.exp(-1), 2 / np.e - 1, 0.43233236, 0.0]),
]


@pytest.mark.parametrize(("name", "ends", "kind", "share", "expected"), HAND)
def test_hand_computed_lines(name, ends, kind, share, expected):
    lower, upper = (np.float64([end]) for end in ends)
    actual = np.concatenate(lines(name, lower, upper, kind, share))
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=2e-7)


def hard_tanh_table(low, high):
    """The narrowest parallel relaxation s z + [lo, hi] of Wong 2020, corollary 6, corrected."""
    if high <= -1:
        return 0, -1, -1
    if low >= 1:
        return 0, 1, 1
    if low >= -1 and high <= 1:
        return 1, 0, 0
    if low < -1 and high > 1:
        slope = 2 / (1 + max(high, -low))
        return slope, slope - 1, 1 - slope
    if low < -1:
        slope = (1 + high) / (high - low)
        return slope, slope - 1, -1 - slope * low
    slope = (1 - low) / (high - low)
    return slope, low * (1 - slope), 1 - slope


def test_hard_tanh_is_the_table():
    grid = np.float64([-3, -2, -1.5, -1, -0.5, 0, 0.25, 1, 1.25, 2, 5])
    ends = np.array([(a, b) for a in grid for b in grid if a < b])
    actual = lines("hard_tanh", *ends.T, "parallel")
    expected = np.array([hard_tanh_table(*pair) for pair in ends]).T
    np.testing.assert_allclose(actual[0], expected[0], rtol=0.0, atol=1e-12)
    np.testing.assert_allclose([actual[1], actual[3]], expected[1:], rtol=0.0, atol=1e-12)


@cases
@pytest.mark.parametrize("kind", ["optimised", "shared"])
def test_slopes_may_have_an_axis_that_the_interval_lacks(name, kind):
    rng = np.random.default_rng(4)
    lower = tf.constant(rng.normal(-0.5, 1.0, (2, 1, 3)), tf.float32)
    upper = lower + tf.constant(rng.random(lower.shape), tf.float32)
    share = tf.constant(rng.random((2, 5, 3)), tf.float32)
    relax = CASES[name].activation.relax
    together = relax(lower, upper, slope_of(kind, share))
    for k in range(5):
        alone = relax(lower, upper, slope_of(kind, share[:, k : k + 1]))
        for whole, part in zip(together, alone, strict=True):
            if whole is None:
                assert part is None
                continue
            whole = tf.broadcast_to(whole, share.shape)[:, k : k + 1]
            np.testing.assert_allclose(whole, part, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("name", mostly_slow(SMOOTH, QUICK))
def test_a_free_lower_slope_attains_every_point_of_the_convex_envelope(name):
    """So that optimising it loses nothing against the best lower line."""
    lower, upper, z, value = sampled(name, 40)
    shares = np.broadcast_to(dense(201, 8)[:, np.newaxis], (603, len(lower)))
    ends = (np.broadcast_to(end, shares.shape) for end in (lower, upper))
    slope, offset, *_ = lines(name, *ends, "optimised", shares)
    reached = (slope[..., np.newaxis] * z + offset[..., np.newaxis]).max(axis=0)
    slopes, low, _ = every_slope(z, value)
    envelope = (slopes[..., np.newaxis] * z + low[..., np.newaxis]).max(axis=0)
    assert (reached >= envelope - 3e-3 * reach(lower, upper, value)[:, np.newaxis]).all()
