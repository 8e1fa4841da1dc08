"""Branch and bound: exact on small networks, by programs with binaries and by the checker."""

import functools

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from oracles.matrices import read
from oracles.relaxed import Relaxation, ends_of

from rt_tf.bounds.beta_crown import Leaves
from rt_tf.bounds.intermediate import Settings, full_enclosure
from rt_tf.bounds.interval import enclose
from rt_tf.bounds.result import Box, margin_spec
from rt_tf.certification.branching import tree_search
from rt_tf.certification.branching.leaf_program import LeafProgram
from rt_tf.certification.branching.tree_search import TreeSearch, best_splits
from rt_tf.certification.proof import Proof
from rt_tf.certification.rung import Finding, Query
from rt_tf.certification.rungs.branch_and_bound import BranchAndBound
from rt_tf.checker import network as checked_network
from rt_tf.checker import proofs as checked_proofs
from rt_tf.checker.verdict import check
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.proofs.certificates import Certified, Statement, proof_arrays
from rt_tf.proofs.network_file import network_arrays, network_sha256
from rt_tf.threats.l2 import L2
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region
from tests.certification.clauses import dense_relu

# Radii at which some examples need splits and some have counterexamples.
RADII = {
    "dense": (0.1, 0.15, 0.2),
    "conv_4x4": (0.2, 0.3, 0.35),
    "residual": (0.07, 0.1),
    "conv_same": (0.01, 0.02, 0.03),
    "batch_norm": (0.07, 0.1),
    "leaky_relu": (0.01, 0.02, 0.1),
    "max_pool": (0.3, 0.7),
    "linear_images": (0.1, 0.15),
    "extremes": (0.07, 0.1),
}
EXAMPLES = 3
CLOSE = 2e-3  # to 0: rounding may decide


@pytest.fixture(autouse=True, scope="module")
def full_products() -> None:
    tf.config.experimental.enable_tensor_float_32_execution(False)


@functools.cache
def rung(name: str) -> BranchAndBound:
    return BranchAndBound(networks.known(name)[1], Linf(), time_limit=20.0)


@functools.cache
def examples(name: str) -> tuple[np.ndarray, np.ndarray]:
    model, wiring = networks.known(name)
    x = networks.images(wiring.input_shape, EXAMPLES)
    return x, model(x).numpy().argmax(axis=1)


def settled(name: str, eps: float) -> list[Finding]:
    x, labels = examples(name)
    return list(rung(name)(Query(x, labels, eps, [None] * len(x))))


def least_margins(name: str, eps: float) -> np.ndarray:
    """By HiGHS, of programs with a binary for every ReLU: [examples]."""
    _, wiring = networks.known(name)
    x, labels = examples(name)
    graph, network = wiring.lower(), read(wiring.lower(), wiring.input_shape)
    region = Region(Linf(), tf.constant(x), eps)
    boxes = full_enclosure(graph, region, Settings()).boxes
    spec = margin_spec(tf.constant(labels), wiring.classes).numpy().astype(np.float64)
    relaxations = [Relaxation(network, ends) for ends in ends_of(region, boxes)]
    return np.array(
        [min(r.exact(row).value for row in rows) for r, rows in zip(relaxations, spec, strict=True)]
    )


RELU_ALONE = [name for name in RADII if name != "leaky_relu"]  # what the oracle knows


QUESTIONS = [(name, eps) for name in RELU_ALONE for eps in RADII[name]]


@pytest.mark.parametrize(
    "question", networks.mostly_slow(QUESTIONS, [("dense", 0.1), ("dense", 0.15)])
)
def test_it_settles_small_networks_as_programs_with_binaries_do(question: tuple) -> None:
    name, eps = question
    for finding, least in zip(settled(name, eps), least_margins(name, eps), strict=True):
        if abs(least) > CLOSE:
            assert finding.settled, (finding, least)
            assert finding.certified == (least > 0.0)
        if finding.certified:
            assert finding.margin <= least + 1e-5


@pytest.mark.parametrize("name", networks.mostly_slow(list(RADII), ["dense", "leaky_relu"]))
def test_what_falsifies_is_inside_and_answered_otherwise(name: str) -> None:
    model, _ = networks.known(name)
    x, labels = examples(name)
    falsified = 0
    for eps in RADII[name]:
        for image, label, finding in zip(x, labels, settled(name, eps), strict=True):
            if finding.falsified:
                assert not finding.certified
                assert np.abs(finding.point - image).max() < eps
                assert ((finding.point >= 0.0) & (finding.point <= 1.0)).all()
                assert model(finding.point[np.newaxis]).numpy().argmax() != label
                falsified += 1
    assert falsified


@pytest.mark.parametrize("name", ["dense", "conv_4x4", "leaky_relu"])
def test_a_linear_program_says_all_of_a_leaf_whose_units_have_signs(name: str) -> None:
    """By duality: its multipliers prove, but for rounding, the value that its vertex has."""
    bounder, (x, labels), eps = rung(name).bounder, examples(name), RADII[name][-1]
    root = bounder.root(tf.constant(x[:1]), tf.constant(eps))
    program, rng = LeafProgram(bounder, root), np.random.default_rng(0)
    row = margin_spec(tf.constant(labels[:1]), rung(name).classes)[0, 0].numpy()
    for _ in range(4):
        inner = np.clip(x[:1] + rng.uniform(-eps, eps, x[:1].shape), 0, 1).astype(np.float32)
        values = enclose(bounder.network(), Box(tf.constant(inner), tf.constant(inner))).boxes
        signs = [values[i].lower.numpy().ravel()[unit] for i, unit in bounder.places(root)]
        signs = np.where(np.array(signs) >= 0.0, 1.0, -1.0).astype(np.float32)
        vertex = program.least(row, signs, 10.0)
        leaf = (row, signs, np.zeros_like(signs), vertex.multipliers)
        proved = bounder.bound(root, Leaves(*(values[np.newaxis] for values in leaf)), 0)
        value = float(bounder.network()(vertex.point[np.newaxis]).numpy()[0] @ row)
        assert proved.margins[0] <= value + 1e-4
        assert proved.margins[0] >= value - 1e-3


CHECKED = ["dense", "conv_4x4", "residual", "batch_norm"]  # the checker knows no others of these


def accepted(model: keras.Model, query: Query, findings: list[Finding]) -> list[Proof]:
    """The proofs among findings, all of which the checker accepts."""
    arrays = network_arrays(model)
    network, classes = checked_network.from_arrays(arrays), model.output_shape[-1]
    certified = [
        Certified(k, int(query.labels[k]), query.images[k], "branch_and_bound", f.proof, None)
        for k, f in enumerate(findings)
        if f.certified
    ]
    kept = proof_arrays(network_sha256(arrays), Statement("linf", query.eps), classes, certified)
    proofs = checked_proofs.from_arrays(kept, network)
    assert len(proofs.certificates) == len(certified)
    assert all(check(network, proofs, certificate).holds for certificate in proofs.certificates)
    return [one.proof for one in certified]


@pytest.mark.parametrize("name", networks.mostly_slow(CHECKED, ["dense"]))
def test_the_checker_accepts_its_proofs(name: str) -> None:
    """Trees with splits among them: bounds alone would not have done."""
    x, labels = examples(name)
    forks = 0
    for eps in RADII[name]:
        query = Query(x, labels, eps, [None] * len(x))
        proofs = accepted(networks.known(name)[0], query, settled(name, eps))
        trees = [tree for proof in proofs for tree in proof.trees.values()]
        forks += sum(len(tree.nodes) > 1 for tree in trees)
    assert forks


def test_the_checker_accepts_what_linear_programs_prove(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ascent, leaves whose units all have signs need their multipliers."""
    for steps in ("ROOT_STEPS", "STEPS"):
        monkeypatch.setattr(tree_search, steps, 0)
    unsplittable, solved = [], TreeSearch._solved
    monkeypatch.setattr(
        TreeSearch, "_solved", lambda s, d: unsplittable.extend(s.unsplittable) or solved(s, d)
    )
    model = dense_relu(2, 5, 4, 3, seed=0)
    x = np.float32([[0.5, 0.5], [0.3, 0.6], [0.7, 0.2]])
    query = Query(x, model(x).numpy().argmax(axis=1), 0.3, [None] * 3)
    findings = list(BranchAndBound(trace(model), Linf())(query))
    assert all(leaf.bound <= 0.0 for leaf in unsplittable)
    assert len(unsplittable) > 10
    assert len(accepted(model, query, findings)) == 3


def test_it_asks_of_a_ball_what_the_threat_says() -> None:
    """An L2 ball lies within the Linf ball of its radius: what holds there holds in it."""
    _, wiring = networks.known("dense")
    x, labels = examples("dense")
    query = Query(x, labels, 0.2, [None] * len(x))
    in_l2 = list(BranchAndBound(wiring, L2(), 20.0)(query))
    assert all(finding.settled for finding in in_l2)
    for round_, square in zip(in_l2, settled("dense", 0.2), strict=True):
        assert round_.certified >= square.certified


def test_time_that_is_over_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    assert all(f.certified for f in settled("conv_4x4", 0.25))
    monkeypatch.setattr(rung("conv_4x4"), "time_limit", 0.0)
    findings = settled("conv_4x4", 0.25)
    assert all(f.cause == "time" and f.margin <= 0.0 and f.proof is None for f in findings)


def test_memory_that_is_too_little_is_the_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*arguments: object) -> None:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM")

    searching = BranchAndBound(networks.known("dense")[1], Linf())
    monkeypatch.setattr(searching.bounder, "bound", exhausted)
    x, labels = examples("dense")
    assert {f.cause for f in searching(Query(x, labels, 0.1, [None] * 3))} == {"memory"}


def test_curved_activations_are_refused() -> None:
    with pytest.raises(UserError, match="expected ReLU and LeakyReLU alone .*layer 'conv2d"):
        BranchAndBound(networks.known("s_shaped")[1], Linf())
    with pytest.raises(UserError, match="branch_and_bound; layer '"):
        BranchAndBound(trace(networks.build("bent")), Linf())


def test_images_outside_of_the_domain_are_refused() -> None:
    x, labels = examples("dense")
    with pytest.raises(UserError, match=r"images: expected values within the domain \[0, 1\]"):
        list(rung("dense")(Query(x + 2.0, labels, 0.05, [None] * len(x))))


def test_fewer_candidates_find_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [f.certified for f in settled("dense", 0.2)]
    monkeypatch.setattr(tree_search, "CANDIDATES", 1)
    monkeypatch.setattr(tree_search, "PARENTS", 2)
    assert [f.certified for f in settled("dense", 0.2)] == expected


def test_the_best_split_is_that_whose_worse_side_is_best() -> None:
    sides = [[-1.0, 3.0], [-0.5, -0.6], [-0.5, 0.2], [2.0, 1.0], [-9.0, -9.0], [0.1, -0.1]]
    np.testing.assert_array_equal(best_splits(np.array(sides).ravel(), parents=2), [2, 0])


def test_a_network_without_activations_is_settled_at_once() -> None:
    model, wiring = networks.known("affine")
    x = networks.images(wiring.input_shape, EXAMPLES)
    labels = model(x).numpy().argmax(axis=1)
    searching = BranchAndBound(wiring, Linf())
    right = list(searching(Query(x, labels, 0.02, [None] * EXAMPLES)))
    assert all(f.settled for f in right)
    wrong = list(searching(Query(x, labels, 0.9, [None] * EXAMPLES)))
    assert all(f.falsified for f in wrong)
