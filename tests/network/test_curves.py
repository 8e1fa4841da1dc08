"""Values, images and points of the functions that have lines around them."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from networks import mostly_slow

from rt_tf.network.relaxations import ACTIVATIONS, FUNCTIONS
from tests.network.activation_cases import (
    CASES,
    CURVES,
    KINDS,
    QUICK,
    TINY,
    UNIT,
    cases,
    intervals,
    kinds,
    moderate,
    slope_of,
)


def test_every_activation_is_in_the_table():
    operations = [case.activation for case in CASES.values()]
    assert all(operation in operations for operation in (ACTIVATIONS | FUNCTIONS).values())


def magnitudes():
    """Both signs, every power of two, and where the functions bend."""
    rng = np.random.default_rng(0)
    powers = rng.uniform(1.0, 2.0, (200, 140)) * 2.0 ** np.arange(-125, 15)
    bends = np.concatenate([rng.uniform(0.0, 20.0, 10**5), rng.uniform(0.0, 100.0, 10**4)])
    z = np.concatenate([powers.ravel(), bends]).astype(np.float32)
    return np.concatenate([z, -z, np.float32([0.0, -0.0, 1e38, -1e38])])


def by_packets(name, z):
    return CASES[name].activation(tf.constant(z)).numpy()[:, np.newaxis]


def by_tails(name, z):
    """In rows of three, which the packets of vectorised code leave over."""
    rows = [CASES[name].activation(tf.constant(row)) for row in z[:1500].reshape(-1, 3)]
    return np.concatenate(rows)[:, np.newaxis]


def by_layer(name, z):
    """Values by a layer of a served graph, which fuses layers and their activations."""
    layer = keras.layers.Dense(16, name if name in ACTIVATIONS else CASES[name].activation)
    layer.build((None, 1))
    layer.set_weights([np.ones((1, 16), np.float32), np.zeros(16, np.float32)])
    return tf.function(layer)(tf.constant(z[:, np.newaxis])).numpy()


@cases
@pytest.mark.parametrize("evaluate", [by_packets, by_tails, by_layer])
def test_evaluation_errs_by_no_more_than_is_said(name, evaluate):
    activation, exact, least, most, *_ = CASES[name]
    z = np.random.default_rng(1).permutation(magnitudes())
    z = z[(z >= least) & (z <= most) & (np.abs(z) >= CASES[name].nearest)]
    values = evaluate(name, z).astype(np.float64)
    truth = exact(z[: len(values), np.newaxis].astype(np.float64))
    promised = activation.ulps * UNIT * np.abs(truth) + activation.absolute
    assert (np.abs(values - truth) <= 0.5 * promised + TINY).all()  # the other half is for others


@cases
def test_extremes_enclose_the_values_up_to_the_error_of_evaluation(name):
    activation, exact, *_ = CASES[name]
    lower, upper = CASES[name].inside(*intervals())
    least, most = (np.float64(end) for end in activation.image(lower, upper))
    shares = np.linspace(0.0, 1.0, 65)[:, np.newaxis]
    bends = np.float32([0.0, *CASES[name].bends])[:, np.newaxis]
    z = np.concatenate([lower * (1.0 - shares) + upper * shares, bends + 0.0 * lower])
    z = np.clip(z, lower, upper)
    value = exact(z.astype(np.float64))
    allowed = 0.5 * activation.ulps * UNIT * np.abs(value) + activation.absolute + TINY
    assert (least <= value + allowed).all()
    assert (most >= value - allowed).all()
    spare = 3e-2 * (value.max(axis=0) - value.min(axis=0)) + 2.0 * allowed.max(axis=0)
    assert (least >= value.min(axis=0) - spare).all()
    assert (most <= value.max(axis=0) + spare).all()


def curve_of(name):
    return CASES[name].activation.relax.args[0]


@pytest.mark.parametrize("name", mostly_slow(CURVES, QUICK))
def test_lines_of_any_slope_touch_the_function(name):
    """So that no point is missed where the derivative is the slope: in float64, to 2^-30."""
    lower, upper = moderate(name, 100)
    z = lower + (upper - lower) * np.linspace(0.0, 1.0, 10001)[:, np.newaxis]
    value = CASES[name].exact(z)
    steepness = np.diff(value, axis=0) / np.diff(z, axis=0)
    least, most = steepness.min(axis=0), steepness.max(axis=0)
    for share in np.linspace(-0.1, 1.1, 13):
        slope = least + share * (most - least)
        rest = value - slope * z
        ends = (tf.constant(end) for end in (lower, upper))
        lines = curve_of(name).lines(*ends, (tf.constant(slope), tf.constant(slope)))
        allowed = 2.0**-30 * (1.0 + np.abs(rest).max(axis=0)) + CASES[name].activation.absolute
        coarse = (upper - lower) * (most - least) * 1e-3 + allowed
        below = rest.min(axis=0) - lines.lower_offset.numpy()
        above = lines.upper_offset.numpy() - rest.max(axis=0)
        for gap in (below, above):
            assert (gap >= -allowed).all()
            assert (gap <= coarse).all()


@pytest.mark.parametrize("name", ["silu", "gelu", "approximate_gelu", "mish"])
@pytest.mark.parametrize("dtype", [tf.float32, tf.float64])
def test_points_by_tables_cost_no_more_than_is_said(name, dtype):
    """A point that misses its slope by r costs r^2 / (2 f''), to the second order."""
    curve, step = curve_of(name), 1e-4
    flexes = curve.critical(tf.constant([-9.0, 9.0], tf.float64))[1]
    least, most = curve.derivative(flexes).numpy()
    for part, ends in enumerate([(least, 0.0), (least, most), (most, 1.0)]):
        share = np.concatenate([np.linspace(0.0, 1.0, 2000), np.logspace(-6, 0, 500)])[
            :, np.newaxis
        ]
        slope = ends[1] + np.clip(share, 1e-6, 1.0 - 1e-6) * (ends[0] - ends[1])
        slope = tf.constant(slope, dtype)
        z = tf.cast(curve.critical(slope)[part], tf.float64)
        ahead, at, back = (curve.derivative(z + move).numpy() for move in (step, 0.0, -step))
        bend = np.abs(ahead - back) / (2.0 * step)
        assert (np.square(at - slope.numpy()) <= 2.0 * 2.0**-32 * bend + 1e-13).all()


@pytest.mark.parametrize("name", mostly_slow(list(CASES), ["hard_silu"]))
def test_xla_draws_the_same_lines(name):
    lower, upper = (tf.constant(end, tf.float32) for end in moderate(name, 50))
    share = tf.fill(lower.shape, 0.3)

    def drawn(lower, upper):
        relax = CASES[name].activation.relax
        return [relax(lower, upper, slope_of(kind, share)) for kind in KINDS]

    compiled = tf.function(drawn, jit_compile=True, autograph=False)(lower, upper)
    for actual, expected in zip(compiled, drawn(lower, upper), strict=True):
        for line, other in zip(actual, expected, strict=True):
            if other is not None:
                np.testing.assert_allclose(line, other, rtol=2e-3, atol=2e-3)


@cases
@kinds
def test_no_interval_stops_its_neighbours(name, kind):
    """One of NaN, of infinite ends, or empty gives what it may, and the others their lines."""
    ends = [[-1.0, 0.5], [np.nan, np.nan], [0.5, 1.0], [-np.inf, np.inf], [2.0, -2.0], [1.0, 1.0]]
    lower, upper = np.float32(ends).T
    share = tf.fill(lower.shape, 0.3)
    relax = CASES[name].activation.relax
    together = relax(tf.constant(lower), tf.constant(upper), slope_of(kind, share))
    some = np.array([0, 2, 5])
    alone = relax(tf.constant(lower[some]), tf.constant(upper[some]), slope_of(kind, share[:3]))
    for line, other in zip(together, alone, strict=True):
        if other is not None:
            np.testing.assert_allclose(line.numpy()[some], other, rtol=1e-5, atol=1e-6)
