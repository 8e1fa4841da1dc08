"""Optimised slopes and splits: sound at every iterate, better than where they start."""

import dataclasses
import itertools

import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.bounds.backward import lower_bound
from rt_tf.bounds.intermediate import Settings, full_enclosure
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.relaxation import UnitSplit
from rt_tf.bounds.result import Box, margin_spec
from rt_tf.bounds.slopes import optimised_bound
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

NAMES = ["dense", "conv_same", "residual", "max_pool"]
cases = pytest.mark.parametrize("name", networks.mostly_slow(NAMES, ["conv_same", "residual"]))


def question(name, eps=0.2):
    _, wiring = networks.known(name)
    graph = wiring.lower()
    region = Region(Linf(), tf.constant(networks.images(wiring.input_shape)), eps)
    spec = margin_spec(tf.constant([0, 1, 2]), networks.CLASSES)
    return graph, region, spec, full_enclosure(graph, region, Settings())


def points(region, count=300):
    """Corners and others: [count, batch, ...]."""
    lower, upper = (end.numpy() for end in region.box())
    share = np.random.default_rng(0).random((count, *lower.shape), np.float32)
    share[: count // 2] = share[: count // 2] > 0.5
    return lower + share * (upper - lower)


def margins(graph, spec, x):
    logits = tf.stack([graph(tf.constant(p)) for p in x])
    return np.einsum("bsc,nbc->nbs", spec.numpy(), logits.numpy())


@cases
@pytest.mark.parametrize("shared", [False, True])
def test_optimised_bounds_are_sound_and_better_than_where_they_start(name, shared):
    graph, region, spec, enclosure = question(name)
    start, *later = (
        optimised_bound(graph, region, spec, enclosure, steps=n, shared=shared).margins.numpy()
        for n in (0, 1, 5, 20)
    )
    assert (margins(graph, spec, points(region)).min(axis=0) >= later[-1] - 1e-5).all()
    for before, after in itertools.pairwise([start, *later]):
        assert (after >= before - 1e-6).all()
    assert (later[-1] > start + 1e-3).any()


@cases
def test_twenty_steps_gain_nearly_what_can_be_gained(name):
    graph, region, spec, enclosure = question(name)
    start, soon, late = (
        optimised_bound(graph, region, spec, enclosure, steps=n).margins.numpy().sum()
        for n in (0, 20, 200)
    )
    assert soon - start > 0.97 * (late - start)


@cases
def test_without_steps_it_is_crown(name):
    graph, region, spec, enclosure = question(name)
    margins = optimised_bound(graph, region, spec, enclosure, steps=0).margins
    np.testing.assert_allclose(margins, lower_bound(graph, region, spec, enclosure), atol=1e-5)


def test_rows_do_not_share_their_slopes():
    graph, region, spec, enclosure = question("conv_same")
    together = optimised_bound(graph, region, spec, enclosure, steps=10).margins
    alone = optimised_bound(graph, region, spec[:, 1:], enclosure, steps=10).margins
    np.testing.assert_allclose(together[:, 1:], alone, atol=1e-5)


def test_sound_arithmetic_is_below_fast_arithmetic():
    graph, region, spec, enclosure = question("conv_same")
    sound = full_enclosure(graph, region, Settings(arithmetic="sound"))
    margins = optimised_bound(graph, region, spec, sound, steps=5, arithmetic="sound").margins
    fast = optimised_bound(graph, region, spec, enclosure, steps=5).margins
    assert (margins < fast).numpy().all()
    assert (margins > fast - 0.01).numpy().all()


def split_of(graph, enclosure, seed):
    """Random signs for some unstable units of every pre-activation node, and boxes cut by them."""
    rng = np.random.default_rng(seed)
    boxes, signs = dict(enclosure.boxes), {}
    for i in sorted(graph.preactivations()):
        box = boxes[i]
        unstable = ((box.lower < 0) & (box.upper > 0)).numpy()
        sign = np.where(unstable & (rng.random(unstable.shape) < 0.3), 1.0, 0.0)
        sign = (sign * rng.choice([-1.0, 1.0], sign.shape)).astype(np.float32)
        lower = tf.where(sign > 0, tf.nn.relu(box.lower), box.lower)
        upper = tf.where(sign < 0, -tf.nn.relu(-box.upper), box.upper)
        boxes[i], signs[i] = Box(lower, upper), tf.constant(sign)
    return Enclosure(boxes, enclosure.magnitudes), signs


def values_of(graph, x):
    values = [x]
    for _, node in graph.numbered():
        values.append(node.op(*(values[k] for k in node.inputs)))
    return values


@pytest.mark.parametrize("seed", range(3))
def test_split_bounds_hold_where_the_signs_do_whatever_the_multipliers(seed):
    graph, region, spec, enclosure = question("dense", eps=0.4)
    region = dataclasses.replace(region, x=tf.repeat(region.x[:1], 3, axis=0))
    enclosure = full_enclosure(graph, region, Settings())
    cut, signs = split_of(graph, enclosure, seed)
    splits = {
        i: UnitSplit(s, tf.random.stateless_uniform([3, 2, *s.shape[1:]], [seed, i], maxval=3.0))
        for i, s in signs.items()
    }
    bound = lower_bound(graph, region, spec, cut, splits=splits).numpy()
    count = 0
    for x in points(region, 2000):
        values = values_of(graph, tf.constant(x))
        obeyed = [tf.reduce_all(values[i] * s >= 0.0, axis=1) for i, s in signs.items()]
        rows = tf.reduce_all(tf.stack(obeyed), axis=0).numpy()
        margins = np.einsum("bsc,bc->bs", spec.numpy(), values[graph.output].numpy())
        assert (margins[rows] >= bound[rows] - 1e-5).all()
        count += rows.sum()
    assert count, "no sampled point has these signs"


def test_multipliers_help():
    graph, region, spec, enclosure = question("dense", eps=0.4)
    cut, signs = split_of(graph, enclosure, 1)
    without = optimised_bound(graph, region, spec, cut, steps=60).margins
    optimum = optimised_bound(graph, region, spec, cut, steps=60, splits=signs)
    assert (optimum.margins > without + 1e-3).numpy().any()
    assert (optimum.margins > without - 1e-2).numpy().all()
    assert all((m >= 0.0).numpy().all() for m in optimum.multipliers.values())
