"""The solver's programs against the oracle's and against every sign pattern."""

import functools
import itertools

import highspy
import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from scipy.optimize import linprog
from solving import LONG, RADII, example_of, from_proof, oracle_of

from rt_tf.certification.solver.binaries import after_convolutions, every_unit, last_units
from rt_tf.certification.solver.dual_slopes import confirmed, dual_slopes
from rt_tf.certification.solver.examples import Example, Reader
from rt_tf.certification.solver.matrices import entries, matrices, shapes_of
from rt_tf.certification.solver.solver import ModelError, Solver
from rt_tf.network.ops import Bent
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring
from rt_tf.threats.linf import Linf
from tests.certification.clauses import dense_relu, graph_of

programs = pytest.mark.parametrize(
    "name", networks.mostly_slow(list(RADII), ["dense", "conv_strided", "residual"])
)


ALL = [name for name in networks.NETWORKS if "softmax" not in name]


@pytest.mark.parametrize(
    "name", networks.mostly_slow(ALL, ["conv_4x4", "concatenate", "depthwise"])
)
def test_the_matrices_are_the_network(name):
    model, wiring = networks.known(name)
    graph = wiring.lower()
    shapes = shapes_of(graph, wiring.input_shape)
    x, linear = networks.images(wiring.input_shape, 3), matrices(graph, shapes)
    values = [x.reshape(3, -1).astype(np.float64)]
    for i, node in graph.numbered():
        if isinstance(node.op, Bent):
            sources = [values[k].reshape(3, *shapes[k]).astype(np.float32) for k in node.inputs]
            values.append(node.op(*map(tf.constant, sources)).numpy().reshape(3, -1))
        else:
            parts = zip(node.inputs, linear[i].parts, strict=True)
            values.append(sum((values[k] @ part.T for k, part in parts), linear[i].bias))
    outputs, expected = values[graph.output], model(x, training=False).numpy()
    np.testing.assert_allclose(outputs, expected, rtol=0, atol=1e-5 * max(1, abs(expected).max()))


@programs
def test_linear_programs_have_the_oracles_minima(name):
    example, oracle = example_of(name)[1], oracle_of(name)
    assert len(example.program.units) > 3
    for method in ("ipm", "simplex"):
        solver = Solver(example.program.model(), method=method)
        for k in range(len(example.others)):
            solved = solver.linear(*example.program.objective(example.row(k)), LONG)
            expected = oracle.minimum(example.row(k)).value
            assert solved.value == pytest.approx(expected, abs=1e-6 * max(1.0, abs(expected)))


@programs
def test_programs_with_binaries_have_the_oracles_minima(name):
    example, oracle = example_of(name)[1], oracle_of(name)
    binary = every_unit(example.program)
    solver = Solver(example.program.model(binary), method="choose")
    for k in range(len(example.others)):
        solved = solver.integer(*example.program.objective(example.row(k)), LONG)
        expected = oracle.exact(example.row(k)).value
        assert solved.cause is None
        assert solved.value == pytest.approx(expected, abs=1e-5 * max(1.0, abs(expected)))
        assert solved.bound == pytest.approx(solved.value, abs=1e-5 * max(1.0, abs(expected)))


@programs
def test_the_duals_slopes_attain_the_linear_program(name):
    """But for slopes rounded to float16, and float32."""
    reader, example = example_of(name)
    solver = Solver(example.program.model())
    for k in range(len(example.others)):
        solved = solver.linear(*example.program.objective(example.row(k)), LONG)
        before = float(example.margins[k])
        after = confirmed(reader.graph, example, {k: dual_slopes(example.program, solved)})[1]
        proved = from_proof(reader, example, after)[0]
        size = max(1.0, abs(solved.value))
        assert solved.value - 2e-3 * size <= proved <= solved.value + 1e-5 * size
        assert proved >= before - 1e-3 * size


@functools.cache
def tiny() -> Wiring:
    """Two pixels, two layers of three ReLUs, the second leaky; three classes."""
    start = keras.Input((2,))
    layers = keras.layers
    hidden = layers.LeakyReLU(negative_slope=0.25)(layers.Dense(3)(layers.Dense(3, "relu")(start)))
    return trace(networks.randomize(keras.Model(start, layers.Dense(3)(hidden)), seed=3))


@functools.cache
def tiny_reader() -> Reader:
    return Reader(tiny(), Linf(), "milp", 64)


def by_sign_patterns(wiring: Wiring, example: Example, row: np.ndarray) -> float:
    """min row . f over the box: over every pattern of signs, where the network is affine."""
    weights = [op.kernel.numpy().astype(float).T for op in affine(wiring)]
    biases = [op.bias.numpy().astype(float) for op in affine(wiring)]
    least = np.inf
    for signs in itertools.product([0.0, 1.0], repeat=6):
        matrix, constant = weights[0], biases[0]
        halves, sides = [], []
        for layer, leak in ((0, 0.0), (1, 0.25)):
            active = np.array(signs[3 * layer : 3 * layer + 3])
            sign = 2.0 * active - 1.0
            halves.append(-sign[:, np.newaxis] * matrix)  # sign * zhat >= 0
            sides.append(sign * constant)
            slope = leak + (1.0 - leak) * active
            matrix, constant = slope[:, np.newaxis] * matrix, slope * constant
            matrix, constant = weights[layer + 1] @ matrix, weights[layer + 1] @ constant
            constant = constant + biases[layer + 1]
        bounds = list(zip(*example.program.inputs, strict=True))
        piece = linprog(row @ matrix, np.vstack(halves), np.concatenate(sides), bounds=bounds)
        if piece.status == 0:
            least = min(least, piece.fun + row @ constant)
    return least


def affine(wiring: Wiring) -> list:
    return [node.op for node in wiring.lower().nodes if not isinstance(node.op, Bent)]


@pytest.mark.parametrize("seed", range(4))
def test_a_program_with_binaries_is_the_best_of_all_sign_patterns(seed):
    example = tiny_reader().read(networks.images((2,), 1, seed)[0], 1, 0.4)
    program = example.program
    assert len(program.units) >= 2
    solver = Solver(program.model(every_unit(program)), method="choose")
    for k in range(2):
        solved = solver.integer(*program.objective(example.row(k)), LONG)
        expected = by_sign_patterns(tiny(), example, example.row(k))
        assert solved.value == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["conv_strided", "residual"])
def test_an_assignment_is_feasible_and_of_the_networks_value(name):
    reader, example = example_of(name)
    program, graph = example.program, reader.graph
    point = np.random.default_rng(0).uniform(*program.inputs)
    for binary in (None, every_unit(program), last_units(graph)(program)):
        model, values = program.model(binary), program.assignment(point, binary)
        rows = model.matrix @ values
        assert (rows <= model.upper + 1e-9).all()
        assert (rows >= model.lower - 1e-9).all()
        assert (values >= model.least).all()
        assert (values <= model.most).all()
        costs, constant = program.objective(example.row(0))
        logits = graph(tf.constant(point.reshape(example.region.x.shape), tf.float32)).numpy()[0]
        value = costs @ values[: len(costs)] + constant
        assert value == pytest.approx(example.row(0) @ logits, abs=1e-4)


def test_a_start_is_accepted_and_ends_the_search_where_it_is_good_enough(monkeypatch):
    example = example_of("conv_strided")[1]
    program, binary = example.program, every_unit(example.program)
    costs, constant = program.objective(example.row(0))
    start = program.assignment(np.mean(program.inputs, axis=0), binary)
    value = costs @ start[: len(costs)] + constant
    accepted, take = [], highspy.Highs.setSolution
    monkeypatch.setattr(
        highspy.Highs,
        "setSolution",
        lambda highs, solution: accepted.append(take(highs, solution)),
    )
    solver = Solver(program.model(binary), method="choose")
    solved = solver.integer(costs, constant, LONG, start, decided=(value + 1e-3, np.inf))
    assert accepted == [highspy.HighsStatus.kOk]
    assert solved.cause is None
    assert solved.bound <= solved.value <= value + 1e-3
    assert costs @ solved.point[: len(costs)] + constant == pytest.approx(solved.value, abs=1e-9)


def test_the_search_ends_once_the_bound_is_good_enough_and_the_next_begins_anew():
    example = example_of("conv_strided")[1]
    program, binary = example.program, every_unit(example.program)
    solver = Solver(program.model(binary), method="choose")
    objectives = [program.objective(example.row(k)) for k in (0, 1)]
    least = [solver.integer(*objective, LONG).value for objective in objectives]
    for objective, value in zip(objectives * 2, least * 2, strict=True):
        solved = solver.integer(*objective, LONG, decided=(-np.inf, value - 1.0))
        assert solved.cause is None
        assert value - 1.0 <= solved.bound <= value + 1e-6


def test_binaries_are_of_the_layer_and_the_largest_triangles():
    reader, example = example_of("conv_strided")
    program = example.program
    first, last = reader.graph.activations()
    layer = last_units(reader.graph)(program)
    assert set(program.units[layer, 0]) == {last}
    assert set(program.units[~layer, 0]) == {first}
    chosen = after_convolutions(reader.graph, 2)(program)
    areas = -program.lower * program.upper
    assert chosen.sum() == 2
    assert (layer & ~chosen).any()
    assert areas[chosen].min() >= areas[layer & ~chosen].max()
    assert not chosen[~layer].any()


def test_a_model_beyond_the_solvers_range_is_refused():
    program = example_of("dense")[1].program
    binary = every_unit(program)
    for upper in (program.upper * np.nan, program.upper * 1e20):
        with pytest.raises(ModelError):
            Solver(program._replace(upper=upper).model(binary))


def test_each_solver_has_its_number_of_threads():
    """Of which HiGHS has one for the whole process."""
    example = example_of("dense")[1]
    objective = example.program.objective(example.row(0))
    binary = every_unit(example.program)
    values = [
        Solver(example.program.model(binary), threads, "choose").integer(*objective, LONG).value
        for threads in (1, 2, 1)
    ]
    assert values == pytest.approx([values[0]] * 3, abs=1e-6)
    assert np.isfinite(values[0])


def test_the_numbers_that_matrices_may_hold_are_counted_before_they_are_made() -> None:
    """Products of every affine node, and of no activation."""
    graph = graph_of(dense_relu(3, 6, 4, seed=0))
    shapes = shapes_of(graph, (3,))
    assert entries(graph, shapes) == 6 * 3 + 4 * 6
    stored = sum(part.nnz for linear in matrices(graph, shapes).values() for part in linear.parts)
    assert stored == 6 * 3 + 4 * 6
