"""The latent attack: in its region, upwards, and plain PGD where the region is the input's."""

import dataclasses

import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.gradient.latent import latent_attack, random_symbols
from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.attacks.task import Task
from rt_tf.bounds import zonotope
from rt_tf.bounds.interval import enclose
from rt_tf.bounds.latent import LatentRegion, latent_region
from rt_tf.bounds.result import Box
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

EPS = 0.1


def task_of(name, count=5, eps=EPS):
    model = networks.build(name)
    graph = trace(model).lower()
    x = tf.constant(networks.images(model.input_shape[1:], count))
    labels = tf.argmax(graph(x), axis=1, output_type=tf.int32)
    keys = noise.keys(tf.constant([3, 4]), tf.range(count))
    return Task(graph, Region(Linf(), x, eps), labels, keys)


def layers(graph):
    """The input and the activations: the stages of layerwise training."""
    return [0, *graph.activations()]


def losses(task, latent, value):
    return task.loss(latent.above(value), task.labels, None).numpy()


@pytest.mark.parametrize("stage", range(3))
@pytest.mark.parametrize("name", ["dense", "conv_same"])
def test_the_loss_rises_within_the_region(name, stage):
    task = task_of(name)
    latent = latent_region(task.network, task.region, layers(task.network)[stage])
    start = random_symbols(task, latent)
    begun = losses(task, latent, latent.point(start))
    points = {k: latent_attack(task, latent, steps=k, step_size=0.2) for k in (1, 15)}
    for point in points.values():
        assert all((tf.abs(e) <= 1.0).numpy().all() for e in point.symbols.values())
        np.testing.assert_allclose(point.value, latent.point(point.symbols), atol=1e-6)
        box = zonotope_box(task, latent.node)
        assert (point.value >= box.lower - 1e-5).numpy().all()
        assert (point.value <= box.upper + 1e-5).numpy().all()
    after = {k: losses(task, latent, point.value) for k, point in points.items()}
    assert (after[15] > begun).all()
    assert after[15].mean() > after[1].mean() > begun.mean()


def zonotope_box(task, node):
    """An independent way to the region's box: the zonotope itself, pushed forward to the node."""
    box = Box(*task.region.box())
    below = dataclasses.replace(task.network, output=node)
    return zonotope.enclose(below, zonotope.zonotope_of(box), box)[0].box


@pytest.mark.parametrize("stage", [1, 2])
def test_latent_attacks_reach_at_least_as_far_as_inputs_do(stage):
    """The region contains the images of the inputs, which PGD attacks."""
    task = task_of("dense", eps=0.2)
    latent = latent_region(task.network, task.region, layers(task.network)[stage])
    x = pgd(task, task.region.x, steps=30)
    point = latent_attack(task, latent, steps=30)
    assert (losses(task, latent, point.value) > task.values(x).numpy() - 1e-3).all()
    below = dataclasses.replace(task.network, output=latent.node)
    box = zonotope_box(task, latent.node)
    for draw in range(8):
        value = below(task.region.start(task.noise(draw)))
        assert (value >= box.lower - 1e-5).numpy().all()
        assert (value <= box.upper + 1e-5).numpy().all()


@pytest.mark.parametrize("steps", [1, 7])
def test_at_the_input_with_signs_it_is_pgd(steps):
    """Also where the pixel range leaves a pixel less room than eps."""
    task = task_of("conv_same").inward()
    latent = latent_region(task.network, task.region, 0)
    box = latent.enclosure.boxes[0]
    x = task.region.start(task.noise(0))
    start = {0: tf.math.divide_no_nan(x - box.centre, box.radius)}
    point = latent_attack(task, latent, steps=steps, step_size=0.3, start=start, signs=True)
    expected = pgd(task, x, steps=steps, step_size=0.3)
    assert not np.allclose(expected, x, atol=1e-3)
    np.testing.assert_allclose(point.value, expected, atol=2e-6)


def test_a_step_is_the_gradient_scaled_to_a_mean_size():
    """Against explicit matrices: e + alpha A^T grad, for a region whose A is written out."""
    task = task_of("dense", count=2)
    latent = latent_region(task.network, task.region, task.network.activations()[0])
    start = {i: 0.0 * e for i, e in random_symbols(task, latent).items()}
    value = latent.point(start)
    with tf.GradientTape() as tape:
        tape.watch(value)
        loss = task.loss(latent.above(value), task.labels, None)
    slope = tape.gradient(loss, value).numpy()
    point = latent_attack(task, latent, steps=1, step_size=0.01, start=start)
    for k in range(2):
        g = np.concatenate([columns(latent, start, i, k) @ slope[k] for i in start])
        expected = 0.01 * g / np.abs(g[g != 0.0]).mean()
        moved = np.concatenate([point.symbols[i][k].numpy().ravel() for i in start])
        np.testing.assert_allclose(moved, expected, rtol=1e-3, atol=1e-6)


def columns(latent, start, i, k):
    """The rows of A^T of one node's symbols for example k: [symbols, units]."""
    centre = latent.point(start)[k].numpy()
    rows = []
    for unit in range(start[i][k].numpy().size):
        one = np.zeros(start[i].shape, np.float32)
        one[k].flat[unit] = 1.0
        rows.append(latent.point({**start, i: tf.constant(one)})[k].numpy() - centre)
    return np.stack(rows)


def test_compiled_it_is_the_same_in_any_batch():
    task = task_of("conv_same")
    node = task.network.activations()[0]

    def attack(rows):
        some = task.take(rows)
        return latent_attack(some, latent_region(some.network, some.region, node), steps=3).value

    spec = [tf.TensorSpec([None], tf.int32)]
    compiled = tf.function(attack, input_signature=spec, autograph=False)
    whole = attack(tf.range(5))
    np.testing.assert_allclose(compiled(tf.range(5)), whole, atol=1e-5)
    np.testing.assert_allclose(compiled(tf.range(2, 4)), whole[2:4], atol=1e-5)


def test_no_gradient_passes():
    task = task_of("dense")
    with tf.GradientTape() as tape:
        tape.watch(task.region.x)
        latent = latent_region(task.network, task.region, task.network.activations()[0])
        point = latent_attack(task, latent, steps=2)
    assert tape.gradient(point.value, task.region.x) is None


@pytest.mark.parametrize("threat", ["l1", "l2"])
def test_threats_without_a_box_are_refused(threat):
    task = task_of("dense")
    region = dataclasses.replace(task.region, threat=catalogue.resolve("threat", threat)())
    with pytest.raises(UserError, match=f"moves pixels one by one.*received {threat}"):
        latent_region(task.network, region, 1)


def test_intervals_give_a_larger_region():
    task = task_of("dense", eps=0.3)
    node = task.network.activations()[-1]
    tight = latent_region(task.network, task.region, node)
    loose = LatentRegion(task.network, enclose(task.network, Box(*task.region.box())), node)
    near, far = (losses(task, r, latent_attack(task, r, steps=20).value) for r in (tight, loose))
    assert (far > near).all()
