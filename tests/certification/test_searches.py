"""Complete searches of clauses, against linear programs over all patterns of signs."""

import functools
from fractions import Fraction
from typing import NamedTuple

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.certification.properties.boxes import Boxes, middles
from rt_tf.certification.properties.exclusion import (
    METHODS,
    ClauseResult,
    Screen,
    search_clause,
)
from rt_tf.certification.properties.input_splitting import Compiled, InputSplitting
from rt_tf.certification.properties.unit_splitting import UnitSplitting
from rt_tf.interchange.property import TINY, Clause
from rt_tf.network.graph import Graph
from rt_tf.threats.region import Region
from tests.certification.clauses import box, clause, dense_relu, graph_of, least_excess

L = keras.layers
SEARCHES = {"units": UnitSplitting(), "inputs": InputSplitting()}
ROWS = {
    "one": [[-1.0, 0.0, 0.0]],
    "two": [[-1.0, 1.0, 0.0], [0.0, -2.0, 1.0]],
}
NEAR = 1e-3  # from the exact border of a clause; relaxations are off by far more


class Question(NamedTuple):
    """A network, a box, and rows with offsets of which the box is just outside, or just inside."""

    graph: Graph
    region: Region
    outside: Clause
    inside: Clause


@functools.cache
def tiny() -> tuple[keras.Model, Graph]:
    """Compiled once by each search."""
    model = dense_relu(2, 5, 4, 3, seed=4)
    return model, graph_of(model)


@functools.cache
def question(name: str) -> Question:
    model, graph = tiny()
    region, rows = box([-1.0, -0.8], [0.9, 1.0]), ROWS[name]
    least = least_excess(model, region, clause(rows, [0.0] * len(rows)))
    outside, inside = (clause(rows, [least - side] * len(rows)) for side in (NEAR, -NEAR))
    return Question(graph, region, outside, inside)


def ask(search, graph: Graph, region: Region, of: Clause, seconds: float = 60.0) -> ClauseResult:
    return search(graph, region, tf.constant(of.rows)[tf.newaxis], of.offsets, seconds)


def left_open(method: str, graph: Graph, region: Region, clauses: list[Clause]) -> list[Clause]:
    """The clauses about one box that a bound leaves open."""
    screen = Screen(graph, region.x.shape[1:], lambda: 60.0)
    (still,) = screen.left_open(method, (region.lower.numpy(), region.upper.numpy()), [clauses])
    return still


@pytest.mark.parametrize("name", ROWS)
def test_earlier_bounds_leave_these_clauses_open(name: str) -> None:
    q = question(name)
    for method in METHODS:
        assert left_open(method, q.graph, q.region, [q.outside]), method


def test_neither_of_two_rows_excludes_the_clause_alone() -> None:
    """So that the search must weigh or tell apart rows."""
    q = question("two")
    for row, offset in zip(q.outside.rows, q.outside.offsets, strict=True):
        assert least_excess(tiny()[0], q.region, clause([row], [offset])) < -NEAR


@pytest.mark.parametrize("name", networks.mostly_slow(list(ROWS), ["two"]))
@pytest.mark.parametrize("search", SEARCHES)
def test_a_clause_is_excluded_if_and_only_if_no_input_is_in_it(search: str, name: str) -> None:
    q = question(name)
    assert ask(SEARCHES[search], q.graph, q.region, q.outside) == ClauseResult(True)
    result = ask(SEARCHES[search], q.graph, q.region, q.inside)
    assert not result.excluded
    assert q.inside.holds(q.graph(result.point[np.newaxis]).numpy()[0])
    assert (q.region.lower[0] <= result.point).numpy().all()
    assert (result.point <= q.region.upper[0]).numpy().all()


@pytest.mark.parametrize("search", SEARCHES)
def test_a_clause_with_a_known_input_is_never_excluded(search: str) -> None:
    """Inputs that are at the border of their clause, to the last digit."""
    q = question("two")
    noise = np.random.default_rng(0).random((6, 2), np.float32)
    for y in q.graph(q.region.start(tf.constant(noise))).numpy():
        exact = [Fraction(float(value)) for value in y]
        offsets = [
            sum(Fraction(float(a)) * v for a, v in zip(row, exact, strict=True))
            for row in q.outside.rows
        ]
        assert not ask(SEARCHES[search], q.graph, q.region, clause(q.outside.rows, offsets), 0.3)[0]


@pytest.mark.parametrize("search", SEARCHES)
def test_without_time_nothing_is_found(search: str) -> None:
    q = question("one")
    assert ask(SEARCHES[search], q.graph, q.region, q.outside, 0.0) == ClauseResult(
        False, why="time"
    )


def test_five_inputs_are_split() -> None:
    """A network as those of ACAS Xu are: what is above all samples by a tenth, and just below."""
    graph = graph_of(dense_relu(5, 12, 12, 12, 5, seed=1))
    region = box([-0.4] * 5, [0.4] * 5)
    noise = np.random.default_rng(1).random((100_000, 5), np.float32)
    most = graph(region.start(tf.constant(noise))).numpy()[:, 0]
    far = most.max() + 0.1 * np.ptp(most)
    above, below = (clause([[-1.0, 0, 0, 0, 0]], [-float(n)]) for n in (far, most.max()))
    assert left_open("alpha_crown", graph, region, [above])
    search = InputSplitting()
    assert ask(search, graph, region, above) == ClauseResult(True)
    result = ask(search, graph, region, below)
    assert below.holds(graph(result.point[np.newaxis]).numpy()[0])


def test_what_is_known_of_a_box_holds_in_its_halves_and_tightens_their_bounds() -> None:
    """Every pre-activation value of samples lies within; three layers of one size."""
    model = dense_relu(3, 8, 8, 8, 2, seed=2)
    graph, rows = graph_of(model), np.eye(2, dtype=np.float32)
    compiled = Compiled(graph, (3,), 2, memory=64.0)
    whole = compiled.whole(box([-0.5] * 3, [0.5] * 3))
    bounds = compiled.bound(whole, rows)
    halves = whole._replace(
        preactivations=bounds.preactivations, effects=np.float32([[0, 1, 0]])
    ).halves()
    tightened = compiled.bound(halves, rows)
    afresh = compiled.bound(
        halves._replace(preactivations=np.concatenate([whole.preactivations] * 2)), rows
    )
    assert (tightened.margins >= afresh.margins).all()
    assert (tightened.margins > afresh.margins).any()
    for k in range(2):
        noise = np.random.default_rng(k).random((2000, 3), np.float32)
        x = halves.lower[k] + noise * (halves.upper[k] - halves.lower[k])
        assert (graph(x).numpy() >= tightened.margins[k]).all()
        values = []
        for layer in model.layers[:-1]:
            values.append(x @ layer.kernel.numpy() + layer.bias.numpy())
            x = np.maximum(values[-1], 0.0)
        values = np.concatenate(values, axis=1)
        assert (
            (tightened.preactivations[k, 0] <= values) & (values <= tightened.preactivations[k, 1])
        ).all()


def test_inputs_are_split_below_any_activation_and_units_are_not() -> None:
    """tanh(x_0 - x_1) + tanh(x_1 - x_0) is 0; a search by units names the layer alone."""
    model = keras.Sequential([L.Input((2,)), L.Dense(2, "tanh", name="bent"), L.Dense(1)])
    model.layers[0].set_weights([np.float32([[1, -1], [-1, 1]]), np.zeros(2)])
    model.layers[1].set_weights([np.ones((2, 1)), np.zeros(1)])
    graph, region = graph_of(model), box([-1.0, -1.0], [1.0, 1.0])
    below = clause([[-1.0]], [Fraction(-1, 4)])
    assert left_open("alpha_crown", graph, region, [below])
    assert ask(InputSplitting(), graph, region, below) == ClauseResult(True)
    result = ask(UnitSplitting(), graph, region, below)
    assert result == ClauseResult(False, why="layer 'bent' has another activation than ReLU")


def test_many_inputs_are_not_split() -> None:
    q = question("one")
    result = ask(InputSplitting(most_inputs=1), q.graph, q.region, q.outside)
    assert result == ClauseResult(False, why="more than 1 inputs")


def test_a_box_that_is_too_small_ends_the_search() -> None:
    """Where the answer is a matter of rounding: the maximum of |x_0 - x_1| itself, 1, and a bit."""
    model = keras.Sequential([L.Input((2,)), L.Dense(2, "relu"), L.Dense(1)])
    model.layers[0].set_weights([np.float32([[1, -1], [-1, 1]]), np.zeros(2)])
    model.layers[1].set_weights([np.ones((2, 1)), np.zeros(1)])
    beside = clause([[-1.0]], [-1 - Fraction(1, 10**8)])
    result = ask(InputSplitting(), graph_of(model), box([0.0, 0.0], [1.0, 1.0]), beside)
    assert result == ClauseResult(False, why="a box is too small to be cut")


def test_halves_join_without_a_gap() -> None:
    lower = np.float32([[0.1, -3.0], [-1.0, 0.0]])
    upper = np.float32([[0.3, 5.0], [1.0, 7.0]])
    halves = Boxes(lower, upper, np.zeros((2, 2, 0)), np.float32([[1, 2], [2, 1]])).halves()
    middle = middles(lower, upper)
    assert np.array_equal(halves.lower[:2], lower)
    assert np.array_equal(halves.upper[2:], upper)
    assert np.array_equal(halves.upper[:2], [[upper[0, 0], middle[0, 1]], [middle[1, 0], 7.0]])
    assert np.array_equal(halves.lower[2:], [[lower[0, 0], middle[0, 1]], [middle[1, 0], 0.0]])


def test_no_middle_is_a_number_that_is_flushed_to_zero() -> None:
    lower = np.float32([[0.0, -TINY, -TINY, TINY]])
    upper = np.float32([[TINY, 0.0, TINY, np.nextafter(TINY, np.float32(1))]])
    assert np.isin(middles(lower, upper), [*lower[0], *upper[0], 0.0]).all()


@pytest.mark.parametrize(
    "error", [tf.errors.ResourceExhaustedError(None, None, "OOM"), MemoryError()], ids=["tf", "py"]
)
def test_a_search_out_of_memory_leaves_its_clause_open(error: Exception) -> None:
    def search(*_: object) -> ClauseResult:
        raise error

    q = question("one")
    assert search_clause(search, q.graph, q.region, q.outside, 1.0) == ClauseResult(
        False, why="memory"
    )
