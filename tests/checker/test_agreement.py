"""The checker finds what the library certifies, and nothing that the network can break."""

import networks
import numpy as np
import pytest
import tensorflow as tf
from kept_proofs import (
    CLASSES,
    checked,
    comb,
    full_tree,
    margins_of,
    question,
    tree_proof,
)

from rt_tf import catalogue
from rt_tf.bounds.result import margin_spec
from rt_tf.certification.rung import Query
from rt_tf.certification.rungs.bound import BoundRung
from rt_tf.proofs.certificates import RUNG_RULES

NAMES = [
    *("dense", "dense_on_channels", "conv_same", "conv_valid", "conv_strided", "conv_4x4"),
    *("conv_strided_valid", "conv_dilated", "batch_norm", "batch_norm_shared", "zero_padding"),
    *("reshape", "residual", "nested", "average_pool", "average_pool_overlapping"),
    *("global_average_pool", "global_average_pool_keepdims", "dropout", "normalization"),
    *("normalization_adapted", "rescaling_channels", "affine_deep", "relu_first_and_last"),
    *("conv_grouped", "affine_groups", "depthwise", "max_pool", "max_pool_overlapping"),
    *("max_pool_odd", "global_max_pool", "global_max_pool_keepdims"),
    *("concatenate", "add_broadcast", "branches", "leaky_relu", "linear_images"),
    *("linear_sequences", "nothing_at_inference", "spectral_normalization", "conv1d"),
    *("conv1d_grouped", "separable", "transposed_1d", "transposed", "transposed_uneven"),
    *("pools_1d", "global_pools_1d", "moved_1d", "moved", "differences", "extremes", "resized"),
    *("cropped_to_be_resized", "channels_first", "more_channels_first"),
    *("batch_norm_of_other_axes", "normalization_inverted"),
]
QUICK = ["conv_4x4", "batch_norm", "residual", "average_pool_overlapping", "zero_padding"]
QUICK += ["linear_images", "leaky_relu", "max_pool_overlapping", "conv_grouped"]
BALLS = [("residual", "l2"), ("conv_strided", "l1"), ("residual", "l1"), ("conv_4x4", "l2")]
SLACK = 1e-4  # the library's lines are of float32 ends, which may be the better ones by as much


def of_library(q, rung):
    spec = margin_spec(tf.constant(q.labels), CLASSES)
    return catalogue.bound(rung, {})(q.graph, q.region(), spec, arithmetic="sound").margins.numpy()


def reached(q, count=300, steps=4):
    """The least margins of float32 evaluations at points of every region: [examples, others].

    Random moves, and moves down the gradients of all margins, of the radius's size.
    """
    spec, rng = margin_spec(tf.constant(q.labels), CLASSES), np.random.default_rng(0)
    shape = (count, *q.images.shape)
    noise = rng.standard_normal(shape) * (
        rng.random(shape) < rng.random((count, *[1] * q.images.ndim))
    )
    values = [margins(q, spec, np.stack([moved(q, direction) for direction in noise]))]
    for row in range(spec.shape[1]):
        x = q.images
        for _ in range(steps):
            x = moved(q, -gradient(q, spec[:, row], x))
            values.append(margins(q, spec, x[np.newaxis]))
    return np.concatenate(values).min(axis=0)


def margins(q, spec, points):
    """[points, examples, ...] -> [points, examples, others]."""
    logits = q.graph(tf.constant(points.reshape(-1, *points.shape[2:]))).numpy()
    return np.einsum("bsc,pbc->pbs", spec, logits.reshape(*points.shape[:2], -1))


def gradient(q, rows, x):
    with tf.GradientTape() as tape:
        tape.watch(x := tf.constant(x))
        value = tf.reduce_sum(rows * q.graph(x))
    return tape.gradient(value, x).numpy().astype(np.float64)


def moved(q, direction):
    """The images, moved by the radius's size; clipping to the pixel range only shortens a move."""
    axes = (1, 2, 3)
    sizes = np.abs(direction) + 1e-30
    if q.threat == "linf":
        move = np.sign(direction)
    elif q.threat == "l2":
        move = direction / np.sqrt((sizes**2).sum(axes, keepdims=True))
    else:
        largest = sizes == sizes.max(axes, keepdims=True)
        move = np.sign(direction) * largest / largest.sum(axes, keepdims=True)
    return np.clip(q.images + q.eps * (1.0 - 1e-6) * move, 0.0, 1.0).astype(np.float32)


@pytest.mark.parametrize("name", networks.mostly_slow(NAMES, QUICK))
def test_rules_give_the_library_s_margins_and_no_more_than_there_is(name):
    q = question(name)
    least = reached(q, count=50)
    for rung in ("crown",) if name in QUICK else ("interval", "crown"):
        checked_margins = margins_of(
            checked(q, [q.certified(k, rung) for k in range(len(q.images))])
        )
        assert (checked_margins >= of_library(q, rung) - SLACK).all(), rung
        assert (checked_margins <= least).all(), rung


@pytest.mark.parametrize("case", networks.mostly_slow(BALLS, BALLS[:2]))
def test_so_they_do_of_balls_that_are_no_boxes(case):
    q = question(*case)
    least = reached(q)
    for rung in ("interval", "dual"):
        checked_margins = margins_of(
            checked(q, [q.certified(k, rung) for k in range(len(q.images))])
        )
        assert (checked_margins >= of_library(q, rung) - SLACK).all(), rung
        assert (checked_margins <= least).all(), rung


@pytest.mark.parametrize("rung", RUNG_RULES)
def test_every_rung_with_a_rule_has_the_rule_of_its_name(rung):
    q = question("dense", eps=0.2)
    checked_margins = margins_of(checked(q, [q.certified(k, rung) for k in range(3)]))
    np.testing.assert_allclose(checked_margins, of_library(q, rung), atol=20 * SLACK)
    assert (checked_margins >= of_library(q, rung) - SLACK).all()


def test_what_the_rung_dual_certifies_is_checked_whichever_bound_it_took():
    q, took = question("dense"), set()
    _, wiring = networks.known("dense")
    for eps in (0.02, 0.1, 0.4):
        q = q._replace(eps=float(eps))
        rung = BoundRung("dual", wiring, catalogue.resolve("threat", "linf")())
        findings = list(rung(Query(q.images, q.labels, q.eps, [None] * len(q.labels))))
        for k, finding in enumerate(findings):
            (verdict,) = checked(q, [q.certified(k, "dual", finding.proof)])
            assert verdict.least == pytest.approx(finding.margin, abs=20 * SLACK)
            assert verdict.least >= finding.margin - SLACK
            took.add(finding.proof is None)
    assert took == {True, False}


@pytest.mark.parametrize("shape", [full_tree, comb])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(("name", "threat"), [("dense", "linf"), ("residual", "l2")])
def test_trees_give_the_library_s_margins_and_no_more_than_there_is(name, threat, shared, shape):
    q = question(name, threat, 4 * {"linf": 0.05, "l2": 0.3}[threat])
    least = reached(q)
    for k in range(1):
        proof, margins = tree_proof(q, k, splits=4, shape=shape, shared=shared)
        checked_margins = margins_of(checked(q, [q.certified(k, "branch_and_bound", proof)]))[0]
        assert (checked_margins >= margins - SLACK).all()
        assert (checked_margins <= least[k]).all()


def test_a_tree_proves_what_its_rule_does_not():
    q = question("dense", eps=0.3)
    proof, _ = tree_proof(q, 0, splits=5, steps=40)
    by_rule = margins_of(checked(q, [q.certified(0, "crown")]))
    by_tree = margins_of(checked(q, [q.certified(0, "branch_and_bound", proof)]))
    assert (by_tree > by_rule + 1e-3).all()


def test_rows_without_a_tree_are_left_to_the_rule():
    q = question("conv_same")
    proof, _ = tree_proof(q, 0)
    first, *rest = proof.trees
    alone = proof._replace(trees={first: proof.trees[first]})
    mixed, ruled, treed = (
        checked(q, [q.certified(0, rung, kept)])[0].margins
        for rung, kept in (("branch_and_bound", alone), ("crown", None), ("alpha_crown", proof))
    )
    assert mixed[first] == treed[first]
    assert all(abs(mixed[j] - ruled[j]) < 1e-9 for j in rest)


def test_a_misclassified_example_has_no_certificate():
    q = question("dense", eps=0.0)
    wrong = q._replace(labels=(q.labels + 1) % CLASSES)
    verdicts = checked(wrong, [wrong.certified(k, "crown") for k in range(3)])
    assert not any(verdict.holds for verdict in verdicts)
    assert all(v.holds for v in checked(q, [q.certified(k, "crown") for k in range(3)]))


def test_nodes_are_numbered_as_in_the_graph():
    for name in NAMES:
        q = question(name)
        assert [node.inputs for node in q.network.nodes] == [node.inputs for node in q.graph.nodes]
        assert q.network.output == q.graph.output
        assert sorted(q.network.relus()) == q.graph.activations(), name


def test_networks_of_the_table_that_have_no_file_say_which_layer():
    names = set(NAMES)
    assert names <= set(networks.NETWORKS)
    for name in ("bent", "s_shaped", "operations", "conv3d", "einsum", "at_each_time"):
        with pytest.raises(ValueError, match="proofs: layer '.*': expected an operation of docs"):
            question(name)
