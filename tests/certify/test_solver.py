"""The solver's programs against the oracle's and every sign pattern; the rungs' findings."""

import functools
import itertools

import highspy
import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from oracles.matrices import read
from oracles.relaxed import Relaxation, ends_of
from scipy.optimize import linprog

from rt_tf.bounds.backward import lower_bound
from rt_tf.certify import examples, solver_rungs
from rt_tf.certify.binaries import after_convolutions, every_unit, last_units
from rt_tf.certify.dual_slopes import confirmed, shares
from rt_tf.certify.examples import Example, Reader
from rt_tf.certify.matrices import matrices, shapes_of
from rt_tf.certify.rung import Asked, Finding
from rt_tf.certify.solver import ModelError, Solver
from rt_tf.errors import UserError
from rt_tf.network.ops import Activation
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring
from rt_tf.threats.l2 import L2
from rt_tf.threats.linf import Linf

RADII = {"dense": 0.2, "conv_strided": 0.3, "batch_norm": 0.2, "residual": 0.05, "branches": 0.05}
USED = [*RADII, "conv_4x4"]
KINDS = ["lp", "milp_last", "milp_conv", "milp"]
LONG = 60.0
programs = pytest.mark.parametrize(
    "name", networks.mostly_slow(list(RADII), ["dense", "conv_strided", "residual"])
)


@functools.cache
def reader_of(name: str) -> Reader:
    return Reader(networks.known(name)[1], Linf(), "lp", 64)


@pytest.fixture
def shared_readers(monkeypatch):
    """Rungs of one network share their tracing, which takes longest."""

    def shared(wiring, threat, rung, memory):
        return reader_of(next(name for name in USED if networks.known(name)[1] is wiring))

    monkeypatch.setattr(solver_rungs, "Reader", shared)


@functools.cache
def example_of(name: str) -> tuple[Reader, Example]:
    """A reader of a network of the table, and the program of one image."""
    reader = reader_of(name)
    image = networks.images(reader.wiring.input_shape, 1)[0]
    return reader, reader.read(image, 0, RADII[name])


@functools.cache
def oracle_of(name: str) -> Relaxation:
    """The oracle's own matrices over the same boxes."""
    reader, example = example_of(name)
    network = read(reader.graph, reader.wiring.input_shape)
    return Relaxation(network, ends_of(example.region, example.enclosure.boxes)[0])


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
        if isinstance(node.op, Activation):
            values.append(node.op(tf.constant(values[node.inputs[0]], tf.float32)).numpy())
        else:
            parts = zip(node.inputs, linear[i].parts, strict=True)
            values.append(sum((values[k] @ part.T for k, part in parts), linear[i].bias))
    found, expected = values[graph.output], model(x).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * max(1, abs(expected).max()))


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
        after = confirmed(reader.graph, example, {k: shares(example.program, solved)})[1]
        found = from_proof(reader, example, after)[0]
        size = max(1.0, abs(solved.value))
        assert solved.value - 2e-3 * size <= found <= solved.value + 1e-5 * size
        assert found >= before - 1e-3 * size


def from_proof(reader: Reader, example: Example, proof) -> np.ndarray:
    """The sound bounds of a proof's rows, from nothing but the proof and the rule: [rows]."""
    assert proof.rule == {"intermediate": "backward", "slope": "adaptive", "shared": False}
    slopes = {}
    for i in reader.graph.activations():
        shape = reader.shapes[i]
        rows = np.full((len(proof.trees), int(np.prod(shape))), 0.5, np.float32)
        own = proof.units[:, 0] == i
        for row, tree in zip(rows, proof.trees.values(), strict=True):
            assert tree.nodes.tolist() == [[-1, -1]]
            assert tree.leaves[0].slopes.dtype == np.float16
            row[proof.units[own, 1]] = tree.leaves[0].slopes[own]
        slopes[i] = tf.constant(rows.reshape(1, -1, *shape))
    spec = np.zeros((1, len(proof.trees), reader.wiring.classes), np.float32)
    spec[0, :, example.label] = 1.0
    spec[0, range(len(proof.trees)), list(proof.trees)] = -1.0
    region, boxes = example.region.outward(), example.enclosure
    sound = lower_bound(
        reader.graph, region, tf.constant(spec), boxes, slope=slopes, arithmetic="sound"
    )
    return sound.numpy()[0]


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
    return [node.op for node in wiring.lower().nodes if not isinstance(node.op, Activation)]


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
        found = costs @ values[: len(costs)] + constant
        assert found == pytest.approx(example.row(0) @ logits, abs=1e-4)


def test_a_start_is_accepted_and_ends_the_search_where_it_is_good_enough():
    example = example_of("conv_strided")[1]
    program, binary = example.program, every_unit(example.program)
    costs, constant = program.objective(example.row(0))
    start = program.assignment(np.mean(program.inputs, axis=0), binary)
    value = costs @ start[: len(costs)] + constant
    solver, accepted = Solver(program.model(binary), method="choose"), []
    take = solver.highs.setSolution
    solver.highs.setSolution = lambda solution: accepted.append(take(solution))
    solved = solver.integer(costs, constant, LONG, start, decided=(value + 1e-3, np.inf))
    assert accepted == [highspy.HighsStatus.kOk]
    assert solved.cause is None
    assert solved.bound <= solved.value <= value + 1e-3


def test_the_search_ends_once_the_bound_is_good_enough():
    example = example_of("conv_strided")[1]
    program, binary = example.program, every_unit(example.program)
    solver = Solver(program.model(binary), method="choose")
    objective = program.objective(example.row(0))
    least = solver.integer(*objective, LONG).value
    solved = solver.integer(*objective, LONG, decided=(-np.inf, least - 1.0))
    assert solved.cause is None
    assert least - 1.0 <= solved.bound <= least + 1e-6


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


# The rungs.


@functools.cache
def asked(name: str, eps: float, count: int = 5) -> tuple[Wiring, Asked]:
    model, wiring = networks.known(name)
    x = networks.images(wiring.input_shape, count)
    labels = model(x).numpy().argmax(axis=-1)
    return wiring, Asked(x, labels, eps, [None] * count)


@functools.cache
def findings(kind: str, name: str, eps: float) -> list[Finding]:
    wiring, question = asked(name, eps)
    return list(getattr(solver_rungs, kind)(wiring, Linf(), time_limit=LONG)(question))


@functools.cache
def exact_margins(name: str, eps: float) -> list[float]:
    """Least margins of the network, by the oracle."""
    reader, question, least = reader_of(name), asked(name, eps)[1], []
    network = read(reader.graph, reader.wiring.input_shape)
    for image, label in zip(question.images, question.labels, strict=True):
        example = reader.read(image, int(label), eps)
        oracle = Relaxation(network, ends_of(example.region, example.enclosure.boxes)[0])
        rows = [example.row(k) for k in range(len(example.others))]
        least.append(min(oracle.exact(row).value for row in rows))
    return least


QUESTIONS = [("conv_strided", 0.06), ("residual", 0.02)]
rungs = pytest.mark.usefixtures("shared_readers")
questions = pytest.mark.parametrize(("name", "eps"), QUESTIONS)


@questions
@rungs
def test_the_whole_network_is_decided(name, eps):
    least, found = exact_margins(name, eps), findings("milp", name, eps)
    assert min(least) < 0.0 < max(least)
    for margin, finding in zip(least, found, strict=True):
        assert abs(margin) > 1e-3
        assert finding.certified == (margin > 0.0)
        assert finding.falsified == (margin < 0.0)
        assert finding.seconds > 0.0


@rungs
@questions
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_certified_is_true_and_what_errs_errs(kind, name, eps):
    model = networks.known(name)[0]
    question, least = asked(name, eps)[1], exact_margins(name, eps)
    for k, finding in enumerate(findings(kind, name, eps)):
        assert finding.cause is None
        assert finding.margin <= least[k] + 1e-5 or finding.falsified
        if finding.falsified:
            moved = np.abs(finding.point.astype(np.float64) - question.images[k])
            assert moved.max() <= eps
            assert finding.point.min() >= 0.0
            assert finding.point.max() <= 1.0
            assert model(finding.point[np.newaxis]).numpy().argmax() != question.labels[k]


@rungs
@questions
def test_more_binaries_certify_no_less(name, eps):
    certified = {kind: [f.certified for f in findings(kind, name, eps)] for kind in KINDS}
    for kind in ("milp_last", "milp_conv"):
        assert (np.array(certified["lp"]) <= certified[kind]).all()
        assert (np.array(certified[kind]) <= certified["milp"]).all()


@rungs
@pytest.mark.parametrize("name", ["conv_4x4", "residual"])
def test_confirmed_certificates_need_nobodys_word(name):
    """At radii where CROWN just fails."""
    wiring, question = asked(name, 0.0)
    reader, rung, trees = reader_of(name), solver_rungs.lp(wiring, Linf()), 0
    for k, (image, label) in enumerate(zip(question.images, question.labels, strict=True)):
        eps = _just_open(name, k)
        (finding,) = rung(Asked(image[np.newaxis], np.array([label]), eps, [None]))
        if finding.proof is None:
            assert finding.trusted or not finding.certified
            continue
        example = reader.read(image, int(label), eps)
        by_rule = ~np.isin(example.others, list(finding.proof.trees))
        margins = from_proof(reader, example, finding.proof)
        assert example.margins.min() <= 0.0 < min(*margins, *example.margins[by_rule])
        assert finding.certified
        assert not finding.trusted
        trees += len(margins)
    assert trees


@functools.cache
def _just_open(name: str, k: int) -> float:
    """A radius where CROWN fails, not 1e-3 above one where it does not."""
    reader, question = reader_of(name), asked(name, 0.0)[1]
    image, label = question.images[k], int(question.labels[k])
    closed, open_ = 0.0, 0.5
    while open_ - closed > 1e-3:
        middle = (closed + open_) / 2
        proved = reader.read(image, label, middle).margins.min() > 0.0
        closed, open_ = (middle, open_) if proved else (closed, middle)
    return open_


@rungs
def test_a_point_that_errs_already_settles_it():
    wiring, question = asked(*QUESTIONS[0])
    found = findings("milp", *QUESTIONS[0])
    (k, *_) = [i for i, finding in enumerate(found) if finding.falsified]
    again = question._replace(
        images=question.images[k : k + 1],
        labels=question.labels[k : k + 1],
        points=[found[k].point],
    )
    (finding,) = solver_rungs.lp(wiring, Linf(), time_limit=0.0)(again)
    assert finding.falsified
    np.testing.assert_array_equal(finding.point, found[k].point)


@rungs
@pytest.mark.parametrize("kind", KINDS)
def test_no_answer_is_no_certificate(kind, monkeypatch):
    wiring, question = asked("residual", _just_open("residual", 0), 1)
    rung = getattr(solver_rungs, kind)
    (late,) = rung(wiring, Linf(), time_limit=0.0)(question)
    assert (late.margin, late.cause, late.certified) == (-np.inf, "time", False)
    with monkeypatch.context() as patched:
        patched.setattr(examples, "MOST_ENTRIES", 10)
        (large,) = rung(wiring, Linf())(question)
    assert (large.margin, large.cause, large.certified) == (-np.inf, "memory", False)
    failed = highspy.HighsModelStatus.kSolveError
    monkeypatch.setattr(highspy.Highs, "getModelStatus", lambda highs: failed)
    (lost,) = rung(wiring, Linf())(question)
    assert (lost.margin, lost.cause, lost.certified) == (-np.inf, "error", False)


def test_what_overflows_is_no_certificate():
    """Of bounds that are not numbers no unit looks unstable."""
    layers = keras.layers
    model = networks.chain(layers.Flatten(), layers.Dense(3, "relu"), layers.Dense(3, "relu"))
    wiring = trace(networks.randomize(model))
    for layer in model.layers[1:3]:
        layer.kernel.assign(layer.kernel * 1e25)
    question, rung = asked("dense", 0.1, 1)[1], solver_rungs.lp(wiring, Linf())
    for label in range(networks.CLASSES):
        again = question._replace(labels=np.array([label]))
        (finding,) = rung(again)
        assert (finding.margin, finding.cause, finding.certified) == (-np.inf, "error", False)


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


def test_what_has_no_program_is_refused():
    layers = keras.layers
    curved = networks.chain(layers.Flatten(), layers.Dense(3, "sigmoid", name="bend"))
    with pytest.raises(UserError, match="lp: expected piecewise-linear .* sigmoid in layer 'bend'"):
        solver_rungs.lp(trace(curved), Linf())
    bent = networks.chain(layers.Flatten(), layers.Dense(3), layers.ReLU(6.0, name="cap"))
    with pytest.raises(UserError, match="milp: expected .* another in layer 'cap'"):
        solver_rungs.milp(trace(bent), Linf())
    with pytest.raises(UserError, match="milp_last: expected the linf threat; received 'l2'"):
        solver_rungs.milp_last(networks.known("dense")[1], L2())
    with pytest.raises(UserError, match="milp_conv: expected a network with an activation after"):
        solver_rungs.milp_conv(networks.known("dense")[1], Linf())
