"""Linear bounds on any graph: below the triangle relaxation's optimum, which no point undercuts.

With the bounds of every ReLU's input given, the best lower slopes attain the optimum of the linear
program over the triangles. Parallel and adaptive slopes lie below it; optimised ones reach for it.
"""

import functools
from typing import NamedTuple

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from oracles import backward, sampling
from oracles.matrices import Network, read
from oracles.methods import ADAPTIVE, FULL, LINEAR, OPTIMISED, PARALLEL, promising, resolve
from oracles.relaxed import Minimum, Relaxation, ends_of, triangle_minima

from rt_tf import models
from rt_tf.bounds import interval
from rt_tf.bounds.backward import lower_bound
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.result import Box, margin_spec
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Activation
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

SLOPES = {"parallel": backward.parallel, "adaptive": backward.adaptive}
NETWORKS = networks.NETWORKS | {
    "large_images": lambda: networks.chain(  # receptive fields are small parts of them
        networks.conv(activation="relu"),
        networks.conv(activation="relu", strides=2),
        networks.L.AveragePooling2D(2, 1, padding="same"),
        networks.conv(activation="relu"),
        shape=(10, 8, 1),
    )
}
RADII = {  # by network: the radius of the question
    "affine_deep": 0.1,
    "dense": 0.1,
    "conv_same": 0.1,
    "conv_strided": 0.2,
    "batch_norm": 0.2,
    "residual": 0.1,
    "branches": 0.1,
    "nested": 0.05,
    "concatenate": 0.1,
    "max_pool": 0.05,
    "large_images": 0.02,
    "relu_first_and_last": 0.1,
}
QUICK = ["dense", "conv_strided", "batch_norm", "residual", "branches", "concatenate", "max_pool"]
cases = pytest.mark.parametrize("name", networks.mostly_slow(list(RADII), QUICK))
slopes = pytest.mark.parametrize("slope", SLOPES)
enclosures = pytest.mark.parametrize("boxes", ["interval", "full"])


class Question(NamedTuple):
    """A network, as the library has it and as matrices, and the margins of two examples."""

    model: keras.Model
    graph: Graph
    network: Network
    region: Region
    spec: tf.Tensor

    def rows(self, example: int) -> np.ndarray:
        return self.spec.numpy()[example].astype(np.float64)

    @property
    def scale(self) -> float:
        return max(1.0, float(np.abs(self.model(self.region.x)).max()))


def ask(model: keras.Model, eps: float, examples: int, labels: list[int]) -> Question:
    wiring = trace(model)
    graph = wiring.lower()
    x = tf.constant(networks.images(wiring.input_shape, examples))
    spec = margin_spec(tf.constant(labels), wiring.classes)
    network = read(graph, wiring.input_shape)
    return Question(model, graph, network, Region(Linf(), x, eps), spec)


@functools.cache
def question(name: str) -> Question:
    return ask(networks.randomize(NETWORKS[name]()), RADII[name], 2, [0, 2])


def minima_of(q: Question, boxes: dict[int, Box]) -> list[list[Minimum]]:
    return triangle_minima(q.network, q.region, q.spec, boxes)


def values(minima: list[list[Minimum]]) -> np.ndarray:
    return np.array([[minimum.value for minimum in rows] for rows in minima])


def enclosure_of(q: Question, kind: str) -> Enclosure:
    """Bounds of every node by intervals, or by parallel lines in full (the oracle's own)."""
    enclosure = interval.enclose(q.graph, Box(*q.region.box()))
    if kind == "interval":
        return enclosure
    bounds = [
        backward.bounds_of_layers(q.network, ends[0], backward.parallel)
        for ends in ends_of(q.region, {})
    ]
    boxes = {}
    for i, box in enclosure.boxes.items():
        sides = (np.stack([ends[i][side] for ends in bounds]) for side in (0, 1))
        shape = box.lower.shape
        boxes[i] = Box(*(tf.constant(side.reshape(shape), tf.float32) for side in sides))
    return Enclosure(boxes, {})


@functools.cache
def answer(name: str, kind: str) -> tuple[Enclosure, list[list[Minimum]]]:
    enclosure = enclosure_of(question(name), kind)
    return enclosure, minima_of(question(name), enclosure.boxes)


def by_slope(q: Question, boxes: dict[int, Box], slope: str) -> np.ndarray:
    """Margins of the backward pass over matrices, in float64: [batch, spec]."""
    return np.array(
        [
            backward.lower(q.network, ends, q.rows(example), SLOPES[slope])
            for example, ends in enumerate(ends_of(q.region, boxes))
        ]
    )


def sampled(q: Question) -> np.ndarray:
    """Margins at points that descend: [batch, spec]."""
    boxes = sampling.linf_box(q.region.x.numpy(), q.region.eps)
    return np.array(
        [
            [sampling.descend(q.network, row, *ends) for row in q.rows(example)]
            for example, ends in enumerate(boxes)
        ]
    )


# The oracle by itself.


def test_a_linear_program_by_hand():
    """z = x1 - x2 in [-1/2, 1/2]; h in the triangle over it, h >= 0, h >= z, h <= z / 2 + 1/4.

    f0 - f1 = h - 3/4 x1 >= -3/4 x1: least -9/16, attained with h = 0 at x1 = x2 = 3/4.
    f1 - f0 = 3/4 x1 - h >= 3/4 x1 - (x1 - x2) / 2 - 1/4 = x1/4 + x2/2 - 1/4: least -1/16 at
    x1 = x2 = 1/4.
    """
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, "relu")])
    model.add(keras.layers.Dense(2))
    kernel = [[1, 1, 0], [-1, 0, 1]]  # x1 - x2; x1 and x2 themselves, which are positive
    weights = [kernel, [0, 0, 0], [[1, 0], [0, 0.75], [0, 0]], [0, 0]]
    model.set_weights([np.array(w, np.float32) for w in weights])
    graph = trace(model).lower()
    ends = {0: (np.full(2, 0.25), np.full(2, 0.75))}
    ends[1] = (np.array([-0.5, 0.25, 0.25]), np.array([0.5, 0.75, 0.75]))
    relaxation = Relaxation(read(graph, (2,)), ends)
    values = [relaxation.minimum(np.array(row)).value for row in ([1.0, -1.0], [-1.0, 1.0])]
    assert values == pytest.approx([-9 / 16, -1 / 16], abs=1e-9)


def test_other_activations_are_refused():
    graph = trace(networks.build("dense")).lower()
    nodes = list(graph.nodes)
    place = graph.activations()[0] - 1
    nodes[place] = nodes[place]._replace(op=Activation(tf.nn.relu6, lambda *_: None))
    with pytest.raises(ValueError, match="expected ReLU"):
        read(Graph(tuple(nodes), graph.output), networks.SHAPE)


@cases
def test_the_matrices_are_the_network(name):
    q = question(name)
    x = networks.images(q.region.x.shape[1:], 20, seed=7)
    logits = q.network(x.reshape(20, -1).astype(np.float64))
    np.testing.assert_allclose(logits, q.model(x), rtol=0, atol=1e-5 * q.scale)


@cases
@enclosures
def test_the_best_slopes_attain_the_linear_program(name, boxes):
    """Strong duality: the program's own multipliers, as slopes of a backward pass in float64."""
    q, (enclosure, minima) = question(name), answer(name, boxes)
    ends = ends_of(q.region, enclosure.boxes)[0]
    for row, minimum in zip(q.rows(0), minima[0], strict=True):

        def best(i, low, high, slopes=minimum.slopes):
            spread = backward.parallel(i, low, high)
            spread[(low < 0) & (high > 0)] = slopes[i]
            return spread

        (margin,) = backward.lower(q.network, ends, row[np.newaxis], best)
        assert margin == pytest.approx(minimum.value, abs=1e-6 * q.scale)


@cases
@enclosures
def test_no_point_undercuts_the_linear_program(name, boxes):
    q = question(name)
    assert (values(answer(name, boxes)[1]) <= sampled(q) + 1e-6 * q.scale).all()


# The library against it.


@cases
@enclosures
@slopes
def test_the_backward_pass_is_the_one_over_matrices(name, boxes, slope):
    q, (enclosure, minima) = question(name), answer(name, boxes)
    margins = lower_bound(q.graph, q.region, q.spec, enclosure, slope=slope).numpy()
    assert_margins(name, margins, enclosure.boxes, slope)
    assert (margins <= values(minima) + 1e-5 * q.scale).all()


@functools.cache
def bounds_of(method: str, name: str):
    q = question(name)
    bounds = resolve(method)(q.graph, q.region, q.spec)
    return bounds.margins.numpy(), bounds.boxes


@cases
@promising(LINEAR)
def test_methods_lie_below_the_triangles_over_their_boxes(method, name):
    q = question(name)
    margins, boxes = bounds_of(method, name)
    optima = values(minima_of(q, boxes))
    assert (margins <= optima + 1e-5 * q.scale).all()
    assert (optima <= sampled(q) + 1e-5 * q.scale).all()


@cases
@promising(PARALLEL)
def test_parallel_methods_are_the_dual_over_their_boxes(method, name):
    assert_margins(name, *bounds_of(method, name), "parallel")


@cases
@promising(ADAPTIVE)
def test_adaptive_methods_are_crown_over_their_boxes(method, name):
    assert_margins(name, *bounds_of(method, name), "adaptive")


@cases
@promising(PARALLEL, FULL)
def test_full_parallel_boxes_are_the_duals_over_those_before(method, name):
    assert_full(name, *bounds_of(method, name)[1:], "parallel")


@cases
@promising(ADAPTIVE, FULL)
def test_full_adaptive_boxes_are_crowns_over_those_before(method, name):
    assert_full(name, *bounds_of(method, name)[1:], "adaptive")


def assert_margins(name: str, margins: np.ndarray, boxes: dict[int, Box], slope: str) -> None:
    """The margins are those of one pass over the boxes."""
    expected = by_slope(question(name), boxes, slope)
    np.testing.assert_allclose(margins, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


def assert_full(name: str, boxes: dict[int, Box], slope: str) -> None:
    """The inputs of ReLUs, where unstable, are cut with the backward pass over the boxes before."""
    q = question(name)
    for ends in ends_of(q.region, boxes):
        for i in (q.graph.nodes[k - 1].inputs[0] for k in q.graph.activations()):
            if i == 0 or q.graph.nodes[i - 1].hull is not None:
                continue  # the pixels themselves; maxima are cut once more
            low, high = q.network.interval(i, ends)
            unstable = (low < 0) & (high > 0)
            expected = backward.cut((low, high), backward.layer(q.network, ends, i, SLOPES[slope]))
            for side, end in zip(ends[i], expected, strict=True):
                tolerance = 1e-5 * np.abs(end).max()
                np.testing.assert_allclose(side[unstable], end[unstable], rtol=0, atol=tolerance)


@cases
@promising(OPTIMISED)
def test_optimised_slopes_are_no_worse_than_adaptive_ones(method, name):
    q = question(name)
    margins, boxes = bounds_of(method, name)
    assert (margins >= by_slope(q, boxes, "adaptive") - 1e-5 * q.scale).all()


@pytest.mark.parametrize("name", ["dense", "nested"])
@promising(OPTIMISED)
def test_optimised_slopes_converge_to_the_linear_program(method, name):
    """Optimised slopes leave a hundredth of the gap that adaptive ones leave."""
    q = question(name)
    bounds = resolve(method, steps=60)(q.graph, q.region, q.spec)
    optima, start = values(minima_of(q, bounds.boxes)), by_slope(q, bounds.boxes, "adaptive")
    left, before = (optima - margins for margins in (bounds.margins.numpy(), start))
    assert before.max() > 0.01
    assert left.sum() <= 0.01 * before.sum()
    assert left.min() >= -1e-5 * q.scale


@functools.cache
def mnist_small(eps: float) -> Question:
    """Three margins of one image: thousands of unstable units, seconds for each program."""
    model = networks.randomize(models.build("wong_small", (28, 28, 1), 10))
    q = ask(model, eps, 1, [3])
    return q._replace(spec=q.spec[:, ::4])


large = pytest.mark.parametrize("eps", [0.02, 0.1])


@pytest.mark.slow
@large
@enclosures
def test_mnist_small(eps, boxes):
    q = mnist_small(eps)
    enclosure = enclosure_of(q, boxes)
    optima = values(minima_of(q, enclosure.boxes))
    assert (optima <= sampled(q) + 1e-5 * q.scale).all()
    for slope in SLOPES:
        margins = lower_bound(q.graph, q.region, q.spec, enclosure, slope=slope).numpy()
        expected, tolerance = by_slope(q, enclosure.boxes, slope), 1e-5 * np.abs(margins).max()
        np.testing.assert_allclose(margins, expected, rtol=0, atol=tolerance)
        assert (margins <= optima + tolerance).all()


@pytest.mark.slow
@large
@promising(LINEAR)
def test_methods_on_mnist_small(method, eps):
    q = mnist_small(eps)
    bounds = resolve(method)(q.graph, q.region, q.spec)
    optima = values(minima_of(q, bounds.boxes))
    assert (bounds.margins.numpy() <= optima + 1e-5 * np.abs(optima).max()).all()
    assert (optima <= sampled(q) + 1e-5 * q.scale).all()
