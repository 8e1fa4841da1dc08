"""Dense chains: the library against Wong's dual, DeepZ and CROWN, written by hand in float64."""

import functools
from typing import NamedTuple

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from oracles import backward, chains, dual, sampling
from oracles.matrices import Network, read
from oracles.methods import ADAPTIVE, FULL, INTERVAL_BOXES, PARALLEL, promising, resolve
from oracles.relaxed import Relaxation

from rt_tf.bounds.backward import lower_bound
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.result import Box, margin_spec
from rt_tf.domain import Domain
from rt_tf.network.graph import Graph
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

L = networks.L
RELATIVE = 1e-5


class Chain(NamedTuple):
    """Widths from input to logits, the radius, and whether the region is cut to [0, 1]."""

    widths: tuple[int, ...]
    eps: float
    pixel_box: bool


CHAINS = {
    "one_hidden": Chain((4, 9, 3), 0.2, False),
    "two_hidden": Chain((6, 10, 8, 4), 0.1, False),
    "four_hidden": Chain((5, 12, 10, 9, 8, 3), 0.15, False),
    "two_hidden_in_the_box": Chain((6, 10, 8, 4), 0.3, True),
    "three_hidden_in_the_box": Chain((7, 12, 9, 8, 3), 0.1, True),
    "wide_in_the_box": Chain((20, 60, 40, 10), 0.05, True),
}
cases = pytest.mark.parametrize("name", CHAINS)


class Question(NamedTuple):
    """A chain, its region around one example, and that region's centre and half-width."""

    model: keras.Model
    graph: Graph
    region: Region
    spec: tf.Tensor
    centre: np.ndarray
    radius: np.ndarray

    @property
    def rows(self) -> np.ndarray:
        return self.spec.numpy()[0].astype(np.float64)

    @property
    def ends(self) -> tuple[np.ndarray, np.ndarray]:
        return self.centre - self.radius, self.centre + self.radius


@functools.cache
def question(name: str) -> Question:
    chain = CHAINS[name]
    layers = [L.Dense(width, "relu") for width in chain.widths[1:-1]]
    model = keras.Sequential([L.Input(chain.widths[:1]), *layers, L.Dense(chain.widths[-1])])
    wiring = trace(networks.randomize(model, seed=len(name)))
    x = networks.images(chain.widths[:1], 1)  # some pixels at the ends of [0, 1]
    lower, upper = (0.0, 1.0) if chain.pixel_box else (-10.0, 10.0)
    region = Region(Linf(), tf.constant(x), chain.eps, Domain(lower, upper))
    low, high = sampling.linf_box(x, chain.eps, lower, upper)[0]
    spec = margin_spec(tf.constant([0]), wiring.classes)
    return Question(model, wiring.lower(), region, spec, (low + high) / 2, (high - low) / 2)


def network_of(q: Question) -> Network:
    return read(q.graph, q.model.input_shape[1:])


def read_by_relus(graph: Graph) -> list[int]:
    """The numbers of the nodes before the ReLUs, in order: the paper's zhat_2, zhat_3, ..."""
    return [graph.nodes[i - 1].inputs[0] for i in graph.activations()]


def of_first(boxes: dict[int, Box], numbers: list[int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """The first example's ends in float64."""
    return [tuple(end.numpy()[0].astype(np.float64) for end in boxes[i]) for i in numbers]


def as_layers(ends) -> tuple[dual.Layers, dual.Layers]:
    """l_i and u_i by the paper's layer numbers, from 2."""
    return tuple(dict(enumerate(side, 2)) for side in zip(*ends, strict=True))


def enclosure(q: Question, ends) -> Enclosure:
    """Boxes of the library's kind from bounds of zhat_2, ..., zhat_{k-1}."""
    boxes = {0: Box(*q.region.box())}
    for (low, high), i, relu in zip(
        ends, read_by_relus(q.graph), q.graph.activations(), strict=True
    ):
        box = Box(*(tf.constant(end[np.newaxis], tf.float32) for end in (low, high)))
        boxes |= {i: box, relu: Box(*map(tf.nn.relu, box))}
    far = tf.fill([1, q.spec.shape[-1]], 1e3)
    return Enclosure({**boxes, q.graph.output: Box(-far, far)}, {})


def layer_by_dual(q: Question, i: int, cs: np.ndarray, lower, upper) -> np.ndarray:
    """J for c^T zhat_i, the chain ending there; cs: [rows, units]."""
    w, b = ({k: v for k, v in part.items() if k < i} for part in dual.parameters(q.model))
    alpha = {k: dual.slopes(lower[k], upper[k]) for k in range(2, i)}
    nus = [dual.dual_network(w, lower, upper, c, alpha) for c in cs]
    return np.array([dual.objective(b, q.centre, q.radius, lower, nu) for nu in nus])


def dual_margins(q: Question, lower: dual.Layers, upper: dual.Layers) -> np.ndarray:
    """J of every margin with the choice of alpha in eq. 3.18."""
    return layer_by_dual(q, len(q.model.layers) + 1, q.rows, lower, upper)


def crown_margins(q: Question, ends) -> np.ndarray:
    return chains.crown(chains.weights_of(q.model), q.rows, ends, *q.ends)


def algorithm_1(q: Question) -> tuple[dual.Layers, dual.Layers]:
    return dual.activation_bounds(*dual.parameters(q.model), q.centre, q.radius)


def hidden(lower: dual.Layers, upper: dual.Layers):
    """Bounds of the layers before a ReLU: all but the last."""
    return [(lower[i], upper[i]) for i in list(lower)[:-1]]


def assert_close(actual, expected, relative: float = RELATIVE) -> None:
    actual, expected = np.asarray(actual), np.asarray(expected)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * np.abs(expected).max())


# The oracles among themselves.


@cases
def test_every_hidden_layer_has_unstable_units_and_not_only(name):
    spans = [dual.unstable(*ends) for ends in hidden(*algorithm_1(question(name)))]
    assert all(mask.any() for mask in spans)
    assert not np.concatenate(spans).all()


@cases
def test_algorithm_1_forms_the_bounds_that_the_dual_objective_gives(name):
    """Its last layer bounds the logits: J for c = e_j, and -J for c = -e_j."""
    q = question(name)
    lower, upper = algorithm_1(q)
    k, one = len(lower) + 1, np.eye(q.spec.shape[-1])
    for sign, expected in ((1.0, lower[k]), (-1.0, upper[k])):
        query = q._replace(spec=tf.constant(sign * one[np.newaxis]))
        assert_close(sign * dual_margins(query, lower, upper), expected, 1e-12)


@cases
def test_deepz_and_the_dual_are_one_relaxation(name):
    q = question(name)
    lower, upper = algorithm_1(q)
    for (low, high), i in zip(
        chains.deepz(chains.weights_of(q.model), *q.ends), lower, strict=True
    ):
        assert_close(low, lower[i], 1e-12)
        assert_close(high, upper[i], 1e-12)


@cases
def test_the_best_alpha_attains_the_linear_program(name):
    """Strong duality (theorem 1): J at the program's multipliers; other alphas are below."""
    q = question(name)
    (lower, upper), (w, b) = algorithm_1(q), dual.parameters(q.model)
    network = network_of(q)
    ends = {0: q.ends, **dict(zip(read_by_relus(q.graph), hidden(lower, upper), strict=True))}
    optimum = Relaxation(network, ends).minimum(q.rows[0])
    alpha = {}
    for i, node in enumerate(q.graph.activations(), 2):
        alpha[i] = dual.slopes(lower[i], upper[i])
        alpha[i][dual.unstable(lower[i], upper[i])] = optimum.slopes[node]
    nu = dual.dual_network(w, lower, upper, q.rows[0], alpha)
    best = dual.objective(b, q.centre, q.radius, lower, nu)
    assert best == pytest.approx(optimum.value, rel=1e-6)
    rng = np.random.default_rng(0)
    for _ in range(20):
        alpha = {i: rng.random(len(lower[i])) for i in range(2, len(w) + 1)}
        nu = dual.dual_network(w, lower, upper, q.rows[0], alpha)
        assert dual.objective(b, q.centre, q.radius, lower, nu) <= optimum.value + 1e-9


# The library against them.


@cases
def test_the_backward_pass_is_the_dual_objective(name):
    q = question(name)
    bounds = algorithm_1(q)
    margins = lower_bound(
        q.graph, q.region, q.spec, enclosure(q, hidden(*bounds)), slope="parallel"
    )
    assert_close(margins[0], dual_margins(q, *bounds))


@cases
def test_the_backward_pass_with_adaptive_slopes_is_crown(name):
    q = question(name)
    ends = chains.crown_bounds(chains.weights_of(q.model), *q.ends)[:-1]
    margins = lower_bound(q.graph, q.region, q.spec, enclosure(q, ends), slope="adaptive")
    assert_close(margins[0], crown_margins(q, ends))


@functools.cache
def bounds_of(method: str, name: str):
    q = question(name)
    return resolve(method)(q.graph, q.region, q.spec)


def own_ends(method: str, name: str):
    return of_first(bounds_of(method, name).boxes, read_by_relus(question(name).graph))


@cases
@promising(PARALLEL)
def test_methods_of_parallel_slope_give_the_dual_objective(method, name):
    margins = dual_margins(question(name), *as_layers(own_ends(method, name)))
    assert_close(bounds_of(method, name).margins[0], margins)


@cases
@promising(ADAPTIVE)
def test_methods_of_adaptive_slope_give_crown(method, name):
    margins = crown_margins(question(name), own_ends(method, name))
    assert_close(bounds_of(method, name).margins[0], margins)


@cases
@promising(INTERVAL_BOXES)
def test_methods_over_intervals_have_interval_bounds(method, name):
    q = question(name)
    expected = network_of(q).intervals(q.ends)
    for ends, i in zip(own_ends(method, name), read_by_relus(q.graph), strict=True):
        assert_close(ends, expected[i])


@cases
@promising(PARALLEL, FULL)
def test_full_parallel_bounds_are_those_of_algorithm_1(method, name):
    """Layer by layer, each from the method's own bounds of the layers before."""
    q = question(name)
    w, b = dual.parameters(q.model)
    lower, upper = as_layers(own_ends(method, name))
    for i in range(3, len(w) + 1):
        cs = np.eye(len(b[i - 1]))
        expected = [layer_by_dual(q, i, sign * cs, lower, upper) * sign for sign in (1, -1)]
        _assert_same_where_unstable(method, name, i, tuple(expected))


@cases
@promising(ADAPTIVE, FULL)
def test_full_adaptive_bounds_are_crown_at_every_layer(method, name):
    q, ends = question(name), own_ends(method, name)
    weights = chains.weights_of(q.model)
    for i in range(3, len(weights) + 1):
        one = np.eye(len(weights[i - 2][1]))
        expected = [
            sign * chains.crown(weights, sign * one, ends[: i - 2], *q.ends) for sign in (1, -1)
        ]
        _assert_same_where_unstable(method, name, i, tuple(expected))


def _assert_same_where_unstable(method: str, name: str, i: int, expected: backward.Ends) -> None:
    """The ends of zhat_i agree, cut with intervals, where intervals leave units unstable."""
    q, ends_of_layers = question(name), own_ends(method, name)
    before, (weight, bias) = ends_of_layers[i - 3], chains.weights_of(q.model)[i - 2]
    low, high = (np.maximum(end, 0.0) for end in before)
    centre, radius = weight @ (low + high) / 2 + bias, np.abs(weight) @ (high - low) / 2
    open_units = dual.unstable(centre - radius, centre + radius)
    expected = backward.cut(expected, (centre - radius, centre + radius))
    for side, end in zip(ends_of_layers[i - 2], expected, strict=True):
        scale = np.abs(end).max()
        np.testing.assert_allclose(side[open_units], end[open_units], rtol=0, atol=RELATIVE * scale)


# The authors' bound, which nothing cuts, and the better of both.


@cases
def test_uncut_it_is_the_dual_objective_of_algorithm_1(name):
    """Layer by layer and at the end: the authors' code, to rounding."""
    q = question(name)
    bounds = resolve("dual")(q.graph, q.region, q.spec, cut=False)
    ends = of_first(bounds.boxes, read_by_relus(q.graph))
    for box, expected in zip(ends, hidden(*algorithm_1(q)), strict=True):
        for side, end in zip(box, expected, strict=True):
            assert_close(side, end)
    assert_close(bounds.margins[0], dual_margins(q, *algorithm_1(q)))


def test_neither_is_always_the_tighter_one_and_the_rung_takes_the_better():
    hidden = [L.Dense(12, "relu") for _ in range(5)]
    model = networks.randomize(keras.Sequential([L.Input((6,)), *hidden, L.Dense(3)]), seed=0)
    graph, x = trace(model).lower(), tf.constant(networks.images((6,), 16))
    region, spec = Region(Linf(), x, 0.1), margin_spec(tf.zeros([16], tf.int64), 3)
    cut, uncut, both = (
        resolve("dual")(graph, region, spec, arithmetic="sound", cut=which)
        for which in (True, False, None)
    )
    least = [tf.reduce_min(bounds.margins, axis=1).numpy() for bounds in (cut, uncut, both)]
    np.testing.assert_array_equal(least[2], np.maximum(*least[:2]))
    np.testing.assert_array_equal(both.uncut, least[1] > least[0])
    assert {-1.0, 1.0} <= set(np.sign(least[1] - least[0]))
