"""Bounds against what can be computed otherwise: by hand, by brute force, by linear programming."""

import networks
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linprog

from rt_tf import catalogue
from rt_tf.bounds.backward import lower_bound
from rt_tf.bounds.interval import enclose
from rt_tf.bounds.methods import crown_ibp_bounds, interval_bounds
from rt_tf.bounds.result import Box, certified, margin_spec
from rt_tf.network.curves.lines import SLOPES
from rt_tf.network.relaxations import relu_lines
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

L = networks.L


def two_two_two():
    """z1 = x1 - x2, z2 = x1 + x2 - 3/4; f0 = 2 h1 + h2 + 1, f1 = h1 - h2 with h = relu(z)."""
    model = networks.keras.Sequential([L.Input((2,)), L.Dense(2, "relu"), L.Dense(2)])
    model.set_weights(
        [
            np.array([[1, 1], [-1, 1]], np.float32),
            np.array([0, -0.75], np.float32),
            np.array([[2, 1], [1, -1]], np.float32),
            np.array([1, 0], np.float32),
        ]
    )
    return trace(model)


# Both pixels in [1/4, 3/4]: z1 in [-1/2, 1/2], z2 in [-1/4, 3/4], h1 in [0, 1/2], h2 in [0, 3/4].
#
# f0 - f1 = h1 + 2 h2 + 1. Interval: 0 + 0 + 1 = 1.
#   parallel: h1 >= z1/2, h2 >= 3/4 z2; (x1 - x2)/2 + 3/2 (x1 + x2 - 3/4) + 1 = 2 x1 + x2 - 1/8,
#             least at (1/4, 1/4): 5/8.
#   adaptive: h1 >= 0 (as 1/2 is not above 1/2), h2 >= z2 (3/4 > 1/4); 2 (x1 + x2 - 3/4) + 1,
#             least at (1/4, 1/4): 1/2.
# f1 - f0 = -h1 - 2 h2 - 1. Interval: -1/2 - 3/2 - 1 = -3.
#   both: h1 <= z1/2 + 1/4, h2 <= 3/4 (z2 + 1/4); -(x1 - x2)/2 - 1/4 - 3/2 (x1 + x2 - 1/2) - 1
#         = -2 x1 - x2 - 1/2, least at (3/4, 3/4): -11/4.
@pytest.mark.parametrize(
    ("bound", "expected"),
    [
        (lambda *a: interval_bounds(*a), [1.0, -3.0]),
        (lambda *a: crown_ibp_bounds(*a, slope="parallel"), [0.625, -2.75]),
        (lambda *a: crown_ibp_bounds(*a, slope="adaptive"), [0.5, -2.75]),
    ],
    ids=["interval", "parallel", "adaptive"],
)
def test_hand_computed_bounds(bound, expected):
    region = Region(Linf(), tf.fill([2, 2], 0.5), 0.25)
    bounds = bound(two_two_two().lower(), region, margin_spec(tf.constant([0, 1]), 2))
    assert bounds.margins.numpy().ravel().tolist() == expected  # binary fractions: no rounding
    assert [end.numpy()[0].tolist() for end in bounds.boxes[1]] == [[-0.5, -0.25], [0.5, 0.75]]


def test_the_pixel_range_cuts_the_region():
    """Both pixels in [1/2, 1] of [0, 1] + 1/2: z2 in [1/4, 5/4] is stable; z1 as before.

    f0 - f1 >= h1 + 2 z2 + 1 with h1 >= 0: 2 (1/2 + 1/2 - 3/4) + 1 = 3/2.
    """
    region = Region(Linf(), tf.ones([1, 2]), 0.5)
    bounds = crown_ibp_bounds(two_two_two().lower(), region, margin_spec(tf.constant([0]), 2))
    assert bounds.margins.numpy().ravel().tolist() == [1.5]


def test_maxima_are_cut_with_their_exact_interval():
    """Two pixels in [0, 1]: a + relu(b - a) lies in [0, 2], their maximum in [0, 1]."""
    model = networks.keras.Sequential([L.Input((2, 2, 1)), L.MaxPooling2D((1, 2)), L.Flatten()])
    region = Region(Linf(), tf.fill([1, 2, 2, 1], 0.5), 0.5)
    bounds = interval_bounds(trace(model).lower(), region, margin_spec(tf.constant([0]), 2))
    last = bounds.boxes[max(bounds.boxes)]
    assert [end.numpy().ravel().tolist() for end in last] == [[0.0, 0.0], [1.0, 1.0]]


def test_margin_spec_rows():
    spec = margin_spec(tf.constant([1, 2]), 3).numpy().tolist()
    assert spec == [[[-1, 1, 0], [0, 1, -1]], [[-1, 0, 1], [0, -1, 1]]]


def test_margin_spec_of_a_thousand_classes():
    (spec,) = tf.function(margin_spec)(tf.constant([998]), 1000).numpy()
    assert spec.shape == (999, 1000)
    assert (spec.sum(axis=1) == 0.0).all()
    assert (spec[:, 998] == 1.0).all()
    assert spec.argmin(axis=1).tolist() == [*range(998), 999]


def test_certified_means_every_margin_is_positive():
    rows = [[1.0, 2.0], [1.0, 0.0], [1.0, -1.0], [1.0, np.nan], [np.inf, 1e-45]]
    verdicts = certified(tf.constant(rows)).numpy()
    assert verdicts.tolist()[:4] == [True, False, False, False]


def dense(*widths, seed):
    layers = [L.Dense(width, "relu") for width in widths[1:-1]]
    model = networks.keras.Sequential([L.Input(widths[:1]), *layers, L.Dense(widths[-1])])
    return networks.randomize(model, seed)


@pytest.mark.parametrize("method", catalogue.certifying_bounds())
@pytest.mark.parametrize("seed", networks.mostly_slow(list(range(4)), [0, 1]))
def test_brute_force_in_two_dimensions(method, seed):
    """A fine grid of the region: no margin below the bound; a better point is not far away."""
    wiring = trace(dense(2, 8, 8, 3, seed=seed))
    eps = [0.02, 0.1, 0.3, 1.0][seed]
    x = tf.constant([[0.3, 0.9]])
    region, spec = Region(Linf(), x, eps), margin_spec(tf.constant([seed % 3]), 3)
    ends = np.stack([end.numpy()[0] for end in region.box()]).astype(np.float64)
    axes = [np.linspace(*ends[:, i], 151) for i in range(2)]
    grid = np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, 2).astype(np.float32)
    least = (wiring.lower()(tf.constant(grid)).numpy() @ spec.numpy()[0].T).min(axis=0)
    bound = catalogue.resolve("bound", method)
    for arithmetic, slack in (("fast", 1e-5), ("sound", 0.0)):
        margins = bound(wiring.lower(), region, spec, arithmetic=arithmetic).margins.numpy()[0]
        assert (least >= margins - slack).all()
    if eps == 0.02:
        assert (least <= margins + 0.1).all()


def triangle_optimum(wiring, boxes, ends, row):
    """min of row . f over the triangle relaxation of every ReLU, with the given bounds of z.

    Variables: x, then z and h of every hidden layer.
    """
    weights = [w.numpy().astype(np.float64) for call in wiring.calls for w in call.layer.weights]
    kernels, biases = weights[::2], weights[1::2]
    bounds = list(zip(*(end.ravel().tolist() for end in ends), strict=True))
    equal, below = [], []  # rows ({variable: coefficient}, right-hand side)
    before = list(range(len(bounds)))
    for kernel, bias, box in zip(kernels[:-1], biases[:-1], boxes, strict=True):
        after = []
        for j in range(kernel.shape[1]):
            z, h = len(bounds), len(bounds) + 1
            low, high = float(box.lower[0, j]), float(box.upper[0, j])
            bounds += [(low, high), (max(low, 0.0), max(high, 0.0))]
            equal.append(({z: -1.0, **dict(zip(before, kernel[:, j], strict=True))}, -bias[j]))
            below.append(({z: 1.0, h: -1.0}, 0.0))
            slope = (max(high, 0.0) - max(low, 0.0)) / (high - low)
            below.append(({h: 1.0, z: -slope}, max(low, 0.0) - slope * low))
            after.append(h)
        before = after
    objective = np.zeros(len(bounds))
    objective[before] = kernels[-1] @ row
    matrices = [dense_rows(rows, len(bounds)) for rows in (below, equal)]
    solved = linprog(objective, *matrices[0], *matrices[1], bounds=bounds, method="highs")
    assert solved.success
    return solved.fun + biases[-1] @ row


def dense_rows(rows, width):
    matrix = np.zeros((len(rows), width))
    for i, (entries, _) in enumerate(rows):
        matrix[i, list(entries)] = list(entries.values())
    return matrix, np.array([side for _, side in rows])


@pytest.mark.parametrize("seed", range(3))
def test_backward_bounds_lie_below_the_triangle_relaxation(seed):
    wiring = trace(dense(3, 6, 5, 2, seed=seed))
    graph, spec = wiring.lower(), margin_spec(tf.constant([0]), 2)
    region = Region(Linf(), tf.constant([[0.4, 0.6, 0.2]]), 0.15)
    enclosure = enclose(graph, Box(*region.box()))
    boxes = [enclosure.boxes[i] for i, node in graph.numbered() if i + 1 in graph.activations()]
    ends = [end.numpy() for end in region.box()]
    optimum = triangle_optimum(wiring, boxes, ends, spec.numpy()[0, 0])
    points = np.random.default_rng(0).uniform(*ends, (4000, 3)).astype(np.float32)
    least = (graph(tf.constant(points)).numpy() @ spec.numpy()[0, 0]).min()
    assert optimum <= least + 1e-5
    for slope in SLOPES:
        margin = lower_bound(graph, region, spec, enclosure, slope=slope).numpy()[0, 0]
        assert margin <= optimum + 1e-5
        assert margin >= optimum - 1.0  # a bound, not minus infinity


@pytest.mark.parametrize("slope", SLOPES)
def test_relu_lines_enclose_relu(slope):
    stable = [(0, 1), (-1, 0), (0, 0), (1, 2), (-2, -1), (1, 1)]
    unstable = [(-1, 2), (-2, 1), (-1, 1)]
    extreme = [(-1e-30, 3e38), (-3e38, 3e38), (-3e38, 1e-38), (-1e-45, 1e-45)]
    ends = np.array([*stable, *unstable, *extreme], np.float32)
    lower, upper = tf.constant(ends[:, 0]), tf.constant(ends[:, 1])
    lines = relu_lines(lower, upper, slope)
    assert lines.lower_offset is None
    lower_slope, upper_slope, upper_offset = (
        line.numpy().astype(np.float64) for line in lines if line is not None
    )
    shares = np.linspace(0, 1, 33)[:, np.newaxis]
    z = ends[:, 0] * (1 - shares) + ends[:, 1].astype(np.float64) * shares
    slack = 4 * 2.0**-24 * np.abs(ends).max(axis=1) + 2.0**-126
    assert (lower_slope * z <= np.maximum(z, 0) + slack).all()
    assert (upper_slope * z + upper_offset >= np.maximum(z, 0) - slack).all()


def test_an_unknown_slope_is_refused():
    with pytest.raises(ValueError, match="slope: expected one of parallel, adaptive; received 'x'"):
        relu_lines(tf.zeros([1]), tf.zeros([1]), "x")
