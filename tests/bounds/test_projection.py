"""Random projections: estimates near the exact numbers, and bounds that hold nearly always."""

import math

import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.bounds.estimates.probable import Confidence, geometric_error, probable_enclosure
from rt_tf.bounds.estimates.projection import (
    Projections,
    median_norm,
    projected_enclosure,
    root_mean_square,
)
from rt_tf.bounds.intermediate import is_exact
from rt_tf.bounds.methods import cauchy_bounds, dual_bounds, probable_bounds
from rt_tf.bounds.result import margin_spec
from rt_tf.errors import UserError
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

NAMES = ["dense", "conv_same", "batch_norm", "residual", "branches"]


def question(name, eps=0.05):
    _, wiring = networks.known(name)
    region = Region(Linf(), tf.constant(networks.images(wiring.input_shape)), eps)
    return wiring.lower(), region, margin_spec(tf.constant([0, 1, 2]), networks.CLASSES)


def cauchy(shape, seed):
    return np.random.default_rng(seed).standard_cauchy(shape).astype(np.float32)


def test_the_median_is_the_lower_middle_one():
    products = tf.constant([[3.0, -1.0, 2.0, -4.0]])[..., tf.newaxis]
    assert median_norm(products).numpy() == [[2.0]]
    assert median_norm(products[:, :3]).numpy() == [[2.0]]
    assert root_mean_square(products).numpy() == pytest.approx(math.sqrt(7.5))


@pytest.mark.parametrize(("vectors", "bias"), [(10, -0.03), (50, -0.007)])
def test_the_bias_of_the_median_is_the_known_one(vectors, bias):
    mean = median_norm(tf.constant(cauchy((1, vectors, 200_000), 0))).numpy().mean()
    assert mean - 1.0 == pytest.approx(bias, abs=0.006)


@pytest.mark.parametrize("name", NAMES)
def test_many_projections_approach_the_exact_bounds(name):
    graph, region, spec = question(name)
    exact = dual_bounds(graph, region, spec)
    few, many = (
        np.mean(
            [
                np.abs(
                    cauchy_bounds(graph, region, spec, projections=r, seed=(s, 0)).margins
                    - exact.margins
                ).mean()
                for s in range(4)
            ]
        )
        for r in (10, 1000)
    )
    assert many < 0.02 * max(1.0, np.abs(exact.margins).max())
    assert many < few


def test_estimates_differ_by_seed_and_repeat_by_seed():
    graph, region, _ = question("conv_same")

    def boxes(seed):
        by_node = projected_enclosure(graph, region, Projections(10, seed)).boxes
        return np.concatenate([np.ravel(box.lower) for box in by_node.values()])

    np.testing.assert_array_equal(boxes((1, 2)), boxes((1, 2)))
    assert (boxes((1, 2)) != boxes((1, 3))).any()


def test_estimates_are_refused_as_certificates():
    graph, region, spec = question("dense")
    with pytest.raises(UserError, match="estimates are no certificates"):
        cauchy_bounds(graph, region, spec, arithmetic="sound")
    with pytest.raises(UserError, match="expected 1 or more; received 0"):
        cauchy_bounds(graph, region, spec, projections=0)


def test_the_error_of_a_geometric_mean_is_the_papers_example():
    """Wong 2020 (thesis), 3.4.6: N = 6572, delta = .01, m = 10, k = 200 needs t = .167."""
    tail = Confidence(0.01).tail(6572)
    assert tail == pytest.approx(0.26, abs=0.005)
    assert geometric_error(200, tail) == pytest.approx(0.167, abs=0.002)
    with pytest.raises(UserError, match="enough vectors"):
        geometric_error(1, 1e-30)


def test_geometric_means_fail_no_oftener_than_promised():
    products = cauchy((50, 4000), 1)
    means = np.exp(np.log(np.abs(products)).mean(axis=0))
    for tail in (0.3, 0.05):
        t = geometric_error(50, tail)
        failed = (means / (1.0 - t) < 1.0).mean()
        assert 0.0 < failed <= tail + 3.0 * math.sqrt(tail / 4000)


@pytest.mark.parametrize("name", NAMES)
def test_probable_boxes_hold_the_exact_ones_but_are_not_far_wider(name):
    """The boxes are of the first estimated layer: the relaxations below it are the same."""
    graph, region, spec = question(name, 0.2)
    exact = dual_bounds(graph, region, spec)
    i = min(k for k in graph.preactivations() if not is_exact(graph, region, k))
    for seed in range(3):
        probable = probable_enclosure(graph, region, Confidence(0.01), tf.constant([seed, 5]))
        box, expected = probable.boxes[i], exact.boxes[i]
        unstable = ((expected.lower < 0.0) & (expected.upper > 0.0)).numpy()
        assert unstable.any()
        assert (box.lower <= expected.lower + 1e-5).numpy()[unstable].all()
        assert (box.upper >= expected.upper - 1e-5).numpy()[unstable].all()
        ratio = (box.upper - box.lower) / (expected.upper - expected.lower)
        assert ratio.numpy()[unstable].max() < 2.5


@pytest.mark.parametrize("name", NAMES)
def test_probable_margins_are_near_the_exact_ones(name):
    graph, region, spec = question(name)
    exact = dual_bounds(graph, region, spec).margins.numpy()
    margins = probable_bounds(graph, region, spec).margins.numpy()
    assert (np.abs(margins - exact) <= 0.5 * max(1.0, np.abs(exact).max())).all()


def test_a_smaller_delta_gives_wider_boxes():
    graph, region, _ = question("conv_same")
    seed = tf.constant([3, 3])

    def width(delta):
        boxes = probable_enclosure(graph, region, Confidence(delta), seed).boxes
        return sum(float(tf.reduce_sum(box.upper - box.lower)) for box in boxes.values())

    assert width(0.5) < width(0.01) < width(1e-6)
