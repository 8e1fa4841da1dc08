"""Lines around every activation: sound in float32, as near as they can be, with true gradients."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.network import functions
from rt_tf.network.ops import Shared
from rt_tf.network.relaxations import ACTIVATIONS, SLOPES, clipped_relu, curved, leaky_relu

UNIT, TINY = 2.0**-24, 2.0**-126


def piecewise(negative_slope=0.0, low=0.0, high=np.inf):
    slope = np.float64(np.float32(negative_slope))
    return lambda z: np.where(z < low, low + slope * (z - low), np.minimum(z, high))


def sigmoid(z):
    small = np.exp(-np.abs(z))
    return np.where(z >= 0.0, 1.0, small) / (1.0 + small)


def softplus(z):
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def elu(alpha):
    return lambda z: np.where(z > 0.0, z, alpha * np.expm1(np.minimum(z, 0.0)))


# Every activation and the function in float64 that it stands for.
CASES = {
    "relu": (ACTIVATIONS["relu"], piecewise()),
    "leaky_relu": (ACTIVATIONS["leaky_relu"], piecewise(0.2)),
    "steep_leaky_relu": (leaky_relu(0.9), piecewise(0.9)),
    "relu6": (ACTIVATIONS["relu6"], piecewise(high=6.0)),
    "clipped_leaky_relu": (clipped_relu(1.5, 0.1), piecewise(0.1, high=1.5)),
    "hard_tanh": (ACTIVATIONS["hard_tanh"], piecewise(low=-1.0, high=1.0)),
    "sigmoid": (ACTIVATIONS["sigmoid"], sigmoid),
    "tanh": (ACTIVATIONS["tanh"], np.tanh),
    "softplus": (ACTIVATIONS["softplus"], softplus),
    "elu": (ACTIVATIONS["elu"], elu(1.0)),
    "flat_elu": (curved(functions.elu(0.3)), elu(0.3)),
}
SMOOTH = ["sigmoid", "tanh", "softplus", "elu"]
KINDS = [*SLOPES, "optimised", "shared"]
cases = pytest.mark.parametrize("name", CASES)
kinds = pytest.mark.parametrize("kind", KINDS)


def slope_of(kind, share):
    return {"optimised": share, "shared": Shared(share)}.get(kind, kind)


def lines(name, lower, upper, kind, share=None):
    """The four lines in float64, of the type of lower."""
    lower, upper = tf.constant(lower), tf.constant(upper)
    share = 0.5 if share is None else share
    share = tf.constant(np.broadcast_to(share, lower.shape), lower.dtype)
    relaxed = CASES[name][0].relax(lower, upper, slope_of(kind, share))
    zeros = tf.zeros_like(lower)
    return [np.asarray(zeros + (zeros if x is None else x), np.float64) for x in relaxed]


def test_every_activation_is_in_the_table():
    assert set(ACTIVATIONS) <= set(CASES)


def magnitudes():
    """Both signs, every power of two, and where the functions bend."""
    rng = np.random.default_rng(0)
    powers = rng.uniform(1.0, 2.0, (200, 140)) * 2.0 ** np.arange(-125, 15)
    bends = np.concatenate([rng.uniform(0.0, 20.0, 10**5), rng.uniform(0.0, 100.0, 10**4)])
    z = np.concatenate([powers.ravel(), bends]).astype(np.float32)
    return np.concatenate([z, -z, np.float32([0.0, -0.0, 1e38, -1e38])])


def by_packets(name, z):
    return CASES[name][0](tf.constant(z)).numpy()[:, np.newaxis]


def by_tails(name, z):
    """In rows of three, which the packets of vectorised code leave over."""
    rows = [CASES[name][0](tf.constant(row)) for row in z[:1500].reshape(-1, 3)]
    return np.concatenate(rows)[:, np.newaxis]


def by_layer(name, z):
    """Values by a layer of a served graph, which fuses layers and their activations."""
    layer = keras.layers.Dense(16, name if name in ACTIVATIONS else CASES[name][0])
    layer.build((None, 1))
    layer.set_weights([np.ones((1, 16), np.float32), np.zeros(16, np.float32)])
    return tf.function(layer)(tf.constant(z[:, np.newaxis])).numpy()


@cases
@pytest.mark.parametrize("evaluate", [by_packets, by_tails, by_layer])
def test_evaluation_errs_by_no_more_than_is_said(name, evaluate):
    activation, exact = CASES[name]
    z = np.random.default_rng(1).permutation(magnitudes())
    values = evaluate(name, z).astype(np.float64)
    truth = exact(z[: len(values), np.newaxis].astype(np.float64))
    promised = activation.ulps * UNIT * np.abs(truth) + activation.absolute
    assert (np.abs(values - truth) <= 0.5 * promised + TINY).all()  # the other half is for others


def intervals(count=1500, seed=0):
    """Ends of random intervals: of all widths and magnitudes, some of them points."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(0.0, 3.0, (4, count))
    middle[1] *= 10.0 ** rng.uniform(-35.0, 4.0, count)
    middle[2] = rng.choice([0.0, -0.0, 1.0, -1.0, 1.5, 6.0, -14.0, 88.0], count)
    width = 10.0 ** rng.uniform(-30.0, 4.0, middle.shape)
    width[3] = 10.0 ** rng.uniform(-3.0, 1.5, count)
    share = rng.random(middle.shape)
    lower = (middle - width * share).astype(np.float32).ravel()
    upper = (middle + width * (1.0 - share)).astype(np.float32).ravel()
    upper[::50] = lower[::50]
    return lower, upper


@cases
@kinds
def test_lines_enclose_the_function_up_to_the_rounding_that_their_users_add(name, kind):
    activation, exact = CASES[name]
    lower, upper = intervals()
    share = np.random.default_rng(1).choice([0.0, 0.1, 0.5, 0.77, 1.0], lower.shape)
    below, start, above, end = lines(name, lower, upper, kind, share)
    lower, upper = lower.astype(np.float64), upper.astype(np.float64)
    size = np.maximum(np.abs(lower), np.abs(upper))
    size += np.maximum(np.abs(exact(lower)), np.abs(exact(upper)))
    allowed = (16.0 + activation.ulps) * UNIT * size + activation.absolute + TINY
    places = np.linspace(0.0, 1.0, 33) ** 3  # denser at the ends
    for place in [*places, *(1.0 - places)]:
        z = np.clip(lower * (1.0 - place) + upper * place, lower, upper)
        assert (below * z + start <= exact(z) + allowed).all()
        assert (above * z + end >= exact(z) - allowed).all()


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
            relaxed = CASES[name][0].relax(lower, upper, slope_of(kind, share))
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
    ends[1] += 0.05
    at = [tf.constant(v) for v in (*ends, rng.uniform(0.05, 0.95, 400))]
    weights = rng.uniform(0.5, 1.5, (4, 1))

    def combined(lower, upper, share):
        relaxed = CASES[name][0].relax(lower, upper, slope_of(kind, share))
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
    below, _, above, _ = lines(name, *intervals(300), kind, 0.3)
    np.testing.assert_array_equal(below, above)


def sampled(name, count=200):
    """Intervals of moderate width, and f at many points of each: [count, points]."""
    rng = np.random.default_rng(3)
    middle, width = rng.normal(0.0, 3.0, count), 10.0 ** rng.uniform(-1.5, 1.2, count)
    share = rng.random(count)
    lower, upper = middle - width * share, middle + width * (1.0 - share)
    z = lower[:, np.newaxis] + width[:, np.newaxis] * np.linspace(0.0, 1.0, 201)
    kinks = np.clip([-1.0, 0.0, 1.0, 1.5, 6.0], lower[:, np.newaxis], upper[:, np.newaxis])
    z = np.concatenate([z, kinks], axis=1)
    return lower, upper, z, CASES[name][1](z)


def every_slope(z, value):
    """Offsets of the nearest lines of many slopes around sampled values: ([slopes, count], ...)."""
    slopes = np.linspace(0.0, 1.0, 201)
    rest = [value - slope * z for slope in slopes]
    low, high = (np.stack([extreme(r, axis=1) for r in rest]) for extreme in (np.min, np.max))
    return slopes[:, np.newaxis], low, high


@cases
def test_parallel_lines_are_the_nearest_to_each_other(name):
    lower, upper, z, value = sampled(name)
    _, start, _, end = lines(name, lower, upper, "parallel")
    _, low, high = every_slope(z, value)
    best = (high - low).min(axis=0)
    assert (end - start <= best * 1.001 + 1e-3 * (upper - lower)).all()


@cases
def test_adaptive_lines_are_the_nearest_in_the_middle(name):
    lower, upper, z, value = sampled(name)
    below, start, above, end = lines(name, lower, upper, "adaptive")
    slopes, low, high = every_slope(z, value)
    middle, slack = 0.5 * (lower + upper), 3e-3 * (upper - lower)
    assert (below * middle + start >= (slopes * middle + low).max(axis=0) - slack).all()
    assert (above * middle + end <= (slopes * middle + high).min(axis=0) + slack).all()


def relu_row(below, above, end):
    return [below, 0.0, above, end]


THIRD = 1.0 / 3.0
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
    relax = CASES[name][0].relax
    together = relax(lower, upper, slope_of(kind, share))
    for k in range(5):
        alone = relax(lower, upper, slope_of(kind, share[:, k : k + 1]))
        for whole, part in zip(together, alone, strict=True):
            if whole is None:
                assert part is None
                continue
            whole = tf.broadcast_to(whole, share.shape)[:, k : k + 1]
            np.testing.assert_allclose(whole, part, rtol=0.0, atol=1e-6)


@pytest.mark.parametrize("name", SMOOTH)
def test_a_free_lower_slope_attains_every_point_of_the_convex_envelope(name):
    """So that optimising it loses nothing against the best lower line."""
    lower, upper, z, value = sampled(name, 40)
    shares = np.linspace(0.0, 1.0, 101)
    families = [lines(name, lower, upper, "optimised", share)[:2] for share in shares]
    reached = np.stack([s[:, np.newaxis] * z + c[:, np.newaxis] for s, c in families]).max(axis=0)
    slopes, low, _ = every_slope(z, value)
    envelope = (slopes[..., np.newaxis] * z + low[..., np.newaxis]).max(axis=0)
    assert (reached >= envelope - 3e-3 * (upper - lower)[:, np.newaxis]).all()
