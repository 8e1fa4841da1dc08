"""Sound arithmetic against exact arithmetic, and against float32 sums in any order."""

import itertools
from fractions import Fraction

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.bounds.interval import enclose
from rt_tf.bounds.result import Box, certified, margin_spec
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

L = keras.layers
WIDTHS = (5, 7, 6, 3)
METHODS = catalogue.certifying_bounds()
KEPT = ("alpha_crown", "shared_slope")  # whose sound slopes are rounded, to better ones at times
methods = pytest.mark.parametrize("method", METHODS)
core = pytest.mark.parametrize(
    "method", networks.mostly_slow(METHODS, ["interval", "crown_ibp", "crown", "zonotope"])
)


def dense(weights):
    """A network of dense layers with ReLU between them, from [(kernel, bias), ...]."""
    layers = [L.Dense(len(bias), "relu") for _, bias in weights[:-1]]
    model = keras.Sequential(
        [L.Input((len(weights[0][0]),)), *layers, L.Dense(len(weights[-1][1]))]
    )
    model.set_weights([np.asarray(w, np.float32) for pair in weights for w in pair])
    return model


def random_weights(rng, spread):
    """Weights over `spread` orders of magnitude, with biases that cancel most of what they meet."""
    weights = []
    for inputs, outputs in itertools.pairwise(WIDTHS):
        kernel = rng.standard_normal((inputs, outputs)) * 10.0 ** rng.uniform(-1, spread)
        bias = -0.5 * kernel.sum(axis=0) + rng.standard_normal(outputs)
        weights.append((kernel.astype(np.float32), bias.astype(np.float32)))
    return weights


def bound(method, model, x, eps, label=0, arithmetic="sound"):
    wiring = trace(model)
    region = Region(Linf(), tf.constant(x[np.newaxis]), eps)
    spec = margin_spec(tf.constant([label]), wiring.classes)
    bounds = catalogue.resolve("bound", method)(wiring.lower(), region, spec, arithmetic=arithmetic)
    return bounds.margins.numpy()[0]


def exact_logits(weights, x):
    """The network's logits in rational arithmetic."""
    values = [Fraction(float(v)) for v in x]
    for depth, (kernel, bias) in enumerate(weights):
        sums = [
            sum(
                (Fraction(float(w)) * v for w, v in zip(kernel[:, j], values, strict=True)),
                Fraction(float(bias[j])),
            )
            for j in range(len(bias))
        ]
        values = sums if depth == len(weights) - 1 else [max(v, Fraction(0)) for v in sums]
    return values


def shuffled_logits(weights, x, rng, fused):
    """float32 logits of points [n, inputs]: every sum in an order of its own, bias included.

    fused: products are added unrounded, as fused multiply-add does. Pairs of partial sums are
    joined at random, so that trees and blocked sums occur as well as running sums.
    """
    for depth, (kernel, bias) in enumerate(weights):
        columns = []
        for j in range(len(bias)):
            wide = x.astype(np.float64) * kernel[:, j].astype(np.float64)
            terms = [
                wide[:, i] if fused else wide[:, i].astype(np.float32) for i in range(len(kernel))
            ]
            terms.append(np.full(len(x), bias[j], np.float32))
            while len(terms) > 1:
                a, b = (terms.pop(rng.integers(len(terms))) for _ in range(2))
                terms.append((a.astype(np.float64) + b.astype(np.float64)).astype(np.float32))
            columns.append(terms[0].astype(np.float32))
        x = np.stack(columns, axis=1)
        if depth < len(weights) - 1:
            x = np.maximum(x, np.float32(0))
    return x


def points_within(x, eps, rng, count):
    """Corners and random points of the region, in float32: all exactly inside."""
    lower, upper = (
        end.numpy()[0] for end in Region(Linf(), tf.constant(x[np.newaxis]), eps).inward().box()
    )
    share = rng.random((count, len(x)))
    share[: count // 2] = share[: count // 2] > 0.5
    return np.clip((lower + share * (upper - lower)).astype(np.float32), lower, upper)


@methods
@pytest.mark.parametrize("seed", networks.mostly_slow(list(range(6)), [0, 1]))
def test_no_evaluation_falls_below_a_sound_margin(method, seed):
    rng = np.random.default_rng(seed)
    weights = random_weights(rng, spread=seed)
    model, x = dense(weights), rng.random(WIDTHS[0], np.float32)
    eps = [0.0, 1e-8, 1e-6, 1e-3, 8 / 255, 0.2][seed]
    sound, fast = (bound(method, model, x, eps, arithmetic=a) for a in ("sound", "fast"))
    assert np.isfinite(sound).all()
    points = points_within(x, eps, rng, 60)
    for point in points[::4]:
        logits = exact_logits(weights, point)
        assert all(logits[0] - logits[j + 1] >= Fraction(float(sound[j])) for j in range(2))
    served = [shuffled_logits(weights, points, rng, fused) for fused in [False, True] * 4]
    logits = np.concatenate([*served, model(points).numpy()]).astype(np.float64)
    assert (logits[:, :1] - logits[:, 1:] >= sound).all()
    assert method in KEPT or (sound <= fast).all()


@pytest.mark.parametrize("seed", range(3))
def test_sound_boxes_hold_every_evaluation_of_every_layer(seed):
    rng = np.random.default_rng(seed)
    weights = random_weights(rng, spread=2)
    x, eps = rng.random(WIDTHS[0], np.float32), 1e-6
    points = points_within(x, eps, rng, 40)
    region = Region(Linf(), tf.constant(x[np.newaxis]), eps).outward()
    for depth in range(1, len(weights) + 1):
        graph = trace(dense(weights[:depth])).lower()
        box = enclose(graph, Box(*region.box()), "sound").boxes[graph.output]
        lower, upper = (end.numpy()[0] for end in box)
        served = shuffled_logits(weights[:depth], points, rng, fused=False)
        assert ((served >= lower) & (served <= upper)).all()
        for point in points[:8]:
            exact = exact_logits(weights[:depth], point)
            for value, low, high in zip(exact, lower, upper, strict=True):
                assert Fraction(float(low)) <= value <= Fraction(float(high))


# In all of them the exact margin is the pixel itself, in [0.9, 1.0]; in float32 it is lost.
EYE = [[1.0, 0.0], [0.0, 1.0]]
LOST = {
    "hidden": [([[1.0, 0.0]], [1e8, 0.0]), (EYE, [-1e8, 0.0])],
    "deep": [([[1.0, 0.0]], [1e8, 0.0]), (EYE, [-1e8, 0.0]), (EYE, [0.0, 0.0])],
    "logits": [([[1.0, 0.0]], [0.0, 0.0]), (EYE, [1e8, 1e8])],
}


@methods
@pytest.mark.parametrize("case", LOST)
def test_ties_in_float32_are_not_certified(method, case):
    weights = LOST[case]
    model, x = dense(weights), np.array([0.95], np.float32)
    logits = model(x[np.newaxis]).numpy()[0]
    exact = exact_logits([(np.array(k, np.float32), b) for k, b in weights], x)
    assert float(exact[0] - exact[1]) == pytest.approx(0.95)
    assert not logits[0] > logits[1]
    assert not (bound(method, model, x, 0.05) > 0.0).any()


@pytest.mark.parametrize("case", ["hidden", "logits"])
def test_fast_arithmetic_is_no_certificate(case):
    """Why the ladder uses sound arithmetic: the same bound without rounding certifies a tie."""
    margins = bound("crown_ibp", dense(LOST[case]), np.array([0.95], np.float32), 0.05, 0, "fast")
    assert (margins > 0.5).all()


@core
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e38])
@pytest.mark.parametrize("layer", [0, 2])
@pytest.mark.parametrize("part", ["kernel", "bias"])
def test_broken_weights_certify_nothing(method, value, layer, part):
    """One broken weight in a network that is certified with a margin of thousands without it."""
    kernel, bias = np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
    weights = [(kernel.copy(), bias.copy()) for _ in range(3)]
    weights[-1][1][:] = [1e4, 0.0, 0.0]
    x = np.array([0.5, 0.4, 0.3], np.float32)
    assert (bound(method, dense(weights), x, 0.01) > 0.0).all()
    target = weights[layer][0 if part == "kernel" else 1]
    target[...] = np.where(np.arange(target.size).reshape(target.shape) % 2, -value, value)
    margins = bound(method, dense(weights), x, 0.01)
    assert not (margins > 0.0).all()
    if not np.isfinite(value):
        assert (margins == -np.inf).all()
        fast = bound(method, dense(weights), x, 0.01, arithmetic="fast")
        assert not certified(tf.constant(fast[np.newaxis])).numpy().any() or np.isposinf(fast).all()


def test_nan_is_never_certified():
    assert not certified(tf.constant([[np.nan, np.nan]], tf.float32)).numpy().any()


@methods
@pytest.mark.parametrize("pool", [L.AveragePooling2D(2), L.GlobalAveragePooling2D(), None])
def test_numbers_flushed_to_zero_are_counted(method, pool):
    """TensorFlow flushes denormal numbers: 2^-127, scaled up again, is served as 0, not 1/4."""
    layers = [
        L.Rescaling(2.0**-125),
        *([pool] if pool else [L.Rescaling(0.25)]),
        L.Rescaling(2.0**125),
    ]
    model = keras.Sequential([L.Input((2, 2, 1)), *layers, L.Flatten(), L.Dense(2)])
    kernel = np.zeros(model.layers[-1].kernel.shape, np.float32)
    kernel[0, 0] = 1.0
    model.layers[-1].set_weights([kernel, np.zeros(2, np.float32)])
    x = np.zeros((2, 2, 1), np.float32)
    x[0, 0, 0] = 1.0
    served = model(x[np.newaxis]).numpy()[0]
    margins = bound(method, model, x, 0.0)
    assert (served[0] - served[1] >= margins).all()
    assert (margins <= 0.0).all()


@methods
def test_denormal_weights_and_relus(method):
    weights = [
        ([[1e-39, 1e-38], [2e-38, -1e-39]], [1e-39, 0.0]),
        ([[1e38, 0.0], [0.0, 1e38]], [0.0, 0.5]),
    ]
    model, rng = dense(weights), np.random.default_rng(0)
    points = points_within(np.array([0.5, 0.5], np.float32), 0.5, rng, 20)
    for label in (0, 1):
        margins = bound(method, model, np.array([0.5, 0.5], np.float32), 0.5, label)
        served = model(points).numpy().astype(np.float64)
        assert (served[:, label] - served[:, 1 - label] >= margins).all()
        for point in points:
            logits = exact_logits(
                [tuple(np.asarray(w, np.float32) for w in p) for p in weights], point
            )
            assert logits[label] - logits[1 - label] >= Fraction(float(margins[0]))


def exact_normalization(layer, x):
    """Batch normalisation of one channel in high precision."""
    gamma, beta, mean, variance = (float(w.numpy()[0]) for w in layer.weights)
    root = np.sqrt(np.longdouble(variance) + np.longdouble(np.float32(layer.epsilon)))
    return (np.asarray(x, np.longdouble) - mean) / root * gamma + beta


@pytest.mark.parametrize("mean", [0.0, 0.3, 1e4, -1e6])
@pytest.mark.parametrize("variance", [0.0, 1e-6, 0.7, 1e8])
@pytest.mark.parametrize("cancelling", [False, True])
def test_batch_normalisation_is_enclosed_however_it_is_computed(mean, variance, cancelling):
    """Folded into scale and shift, or as (x - mean) / deviation, or exactly.

    cancelling: the shift is the small difference of beta and a mean of the same size.
    """
    layer = L.BatchNormalization(epsilon=1e-3)
    model = keras.Sequential([L.Input((1,)), layer, L.Dense(2)])
    beta = -1.7 * mean / np.sqrt(variance + 1e-3) if cancelling else 0.2
    layer.set_weights([np.array([w], np.float32) for w in (-1.7, beta, mean, variance)])
    graph = trace(model).lower()
    x = tf.constant([[0.1], [0.7]])
    region = Region(Linf(), x, 0.05)
    box = enclose(graph, Box(*region.outward().box()), "sound").boxes[1]
    for point in (*region.inward().box(), x):
        f32 = [np.float32(w.numpy()[0]) for w in layer.weights]
        deviation = np.sqrt(f32[3] + np.float32(1e-3))
        plain = (point.numpy() - f32[2]) / deviation * f32[0] + f32[1]
        for value in (layer(point).numpy(), plain, exact_normalization(layer, point.numpy())):
            assert (value >= box.lower.numpy()).all()
            assert (value <= box.upper.numpy()).all()


@methods
def test_long_averages_are_enclosed_in_any_order(method):
    """4,096 equal numbers added one after another drift far from their exact average."""
    model = keras.Sequential([L.Input((64, 64, 2)), L.GlobalAveragePooling2D()])
    pixels = np.array([0.87, 0.88], np.float32)  # one drifts up, the other down
    x = np.broadcast_to(pixels, (64, 64, 2)).copy()
    running = np.zeros(2, np.float32)
    for _ in range(64 * 64):
        running += pixels
    served = (running / np.float32(64 * 64)).astype(np.float64)
    margin = served[1] - served[0]
    assert abs(margin - float(pixels[1] - pixels[0])) > 9e-5
    assert margin >= bound(method, model, x, 0.0, label=1)
    assert -margin >= bound(method, model, x, 0.0, label=0)
    assert bound(method, model, x, 0.0, label=1) > 0.0
    region = Region(Linf(), tf.constant(x[np.newaxis]), 0.0).outward()
    box = enclose(trace(model).lower(), Box(*region.box()), "sound").boxes[1]
    for value in (served, pixels):
        assert (value >= box.lower.numpy()[0]).all()
        assert (value <= box.upper.numpy()[0]).all()
