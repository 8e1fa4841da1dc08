"""Loss fusion: one row bounds the worst loss."""

import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.bounds.methods import crown_ibp_bounds, fused_bounds, interval_bounds
from rt_tf.bounds.result import margin_spec
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

cases = pytest.mark.parametrize("name", ["dense", "conv_same", "batch_norm", "residual"])


def question(name, eps):
    _, wiring = networks.known(name)
    region = Region(Linf(), tf.constant(networks.images(wiring.input_shape)), eps)
    return wiring.lower(), region, margin_spec(tf.constant([0, 1, 2]), networks.CLASSES)


def worst(margins):
    return tf.math.log1p(tf.reduce_sum(tf.exp(-margins), axis=-1)).numpy()


@cases
@pytest.mark.parametrize("eps", [0.0, 1e-5, 0.02, 0.1, 0.4])
def test_it_is_above_every_loss_and_below_the_intervals_one(name, eps):
    graph, region, spec = question(name, eps)
    loss = fused_bounds(graph, region, spec).loss.numpy()
    lower, upper = region.box()
    for seed in range(60):
        share = tf.round(tf.random.stateless_uniform(lower.shape, [seed, 2]))
        logits = graph(lower + share * (upper - lower))
        assert (worst(tf.einsum("bsc,bc->bs", spec, logits)) <= loss + 1e-4).all()
    assert (loss <= worst(interval_bounds(graph, region, spec).margins) + 1e-4).all()


@cases
def test_it_is_near_crown_ibp_where_the_margins_are_narrow(name):
    graph, region, spec = question(name, 0.001)
    loss = fused_bounds(graph, region, spec).loss.numpy()
    np.testing.assert_allclose(
        loss, worst(crown_ibp_bounds(graph, region, spec).margins), atol=5e-3
    )


def test_huge_margins_do_not_overflow():
    graph, region, spec = question("dense", 0.1)
    loss = fused_bounds(graph, region, 300.0 * spec).loss.numpy()
    assert np.isfinite(loss).all()
    assert (loss >= worst(tf.constant(0.0)[tf.newaxis])).all()


@cases
def test_gradients_are_finite(name):
    graph, region, spec = question(name, 0.0)
    for eps in (0.0, 0.1):
        with tf.GradientTape() as tape:
            tape.watch(region.x)
            loss = fused_bounds(graph, Region(Linf(), region.x, eps), spec).loss
        assert np.isfinite(tape.gradient(loss, region.x)).all()
