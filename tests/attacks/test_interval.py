"""The interval attack: its slopes, its search for a radius, and the way out of a local maximum."""

import dataclasses

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.gradient.interval import followed, interval_attack, radii, trend
from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.attacks.judging import attack_with_restarts
from rt_tf.attacks.starts import uniform, zero
from rt_tf.attacks.task import Task
from rt_tf.bounds.backward import lower_bound, walk_back
from rt_tf.bounds.intermediate import head_enclosure
from rt_tf.bounds.methods import fast_lin_ibp_bounds
from rt_tf.bounds.result import margin_spec
from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

FIRST = 1 / 30
RADII = {"linf": 0.1, "l2": 0.5, "l1": 2.0}


def task_of(name, threat="linf", eps=None, count=6, seed=0):
    model = networks.build(name, seed)
    graph = trace(model).lower()
    x = tf.constant(networks.images(model.input_shape[1:], count))
    region = Region(catalogue.resolve("threat", threat)(), x, eps or RADII[threat])
    labels = tf.argmax(graph(x), axis=1, output_type=tf.int32)
    return Task(graph, region, labels, noise.keys(tf.constant([3, 4]), tf.range(count)))


def walk_of(task):
    graph, spec = task.network, margin_spec(task.labels, networks.CLASSES)
    enclosure = head_enclosure(graph, task.region)
    walk = walk_back(graph, task.region, spec, enclosure, slope="parallel")
    return walk, spec, enclosure


@pytest.mark.parametrize(
    ("name", "threat"), [("conv_same", "linf"), ("residual", "l2"), ("s_shaped", "l1")]
)
def test_what_a_walk_leaves_lies_below_the_margins_and_touches_the_bounds(name, threat):
    task = task_of(name, threat)
    walk, spec, enclosure = walk_of(task)
    bound = lower_bound(task.network, task.region, spec, enclosure, slope="parallel")
    np.testing.assert_array_equal(walk.minimum(), bound)
    offset = bound - task.region.minimum(walk.coefficients[0])
    for draw in range(8):
        x = task.region.start(task.noise(draw))
        below = tf.einsum("bshwc,bhwc->bs", walk.coefficients[0], x) + offset
        margins = tf.linalg.matvec(spec, task.network(x))
        assert (below <= margins + 1e-4).numpy().all()


def test_coefficients_are_the_bounds_gradient_with_all_lines_held_fixed():
    task = task_of("conv_same")
    task = dataclasses.replace(
        task, region=dataclasses.replace(task.region, domain=Domain(-9.0, 9.0))
    )
    walk, spec, enclosure = walk_of(task)
    with tf.GradientTape() as tape:
        tape.watch(task.region.x)
        first = lower_bound(task.network, task.region, spec, enclosure, slope="parallel")[:, 0]
    np.testing.assert_allclose(
        tape.gradient(first, task.region.x), walk.coefficients[0][:, 0], atol=1e-5
    )


def test_of_a_linear_network_the_trend_is_the_margins_gradient():
    task = task_of("affine", eps=0.9)
    ahead = trend(task, task.region.x, FIRST)
    spec = margin_spec(task.labels, networks.CLASSES)
    weights = tf.transpose(jacobian(task.network, task.region.x), [0, 2, 1])  # [b, pixels, classes]
    slopes = tf.einsum("bsc,bpc->bsp", spec, weights).numpy()
    count = 0
    for k in np.flatnonzero(ahead.radius > 0.0):
        gradient = ahead.gradient[k].numpy().ravel()
        assert min(np.abs(-gradient - row).max() for row in slopes[k]) < 1e-5
        count += 1
    assert count


def jacobian(graph, x):
    with tf.GradientTape() as tape:
        tape.watch(x)
        logits = graph(x)
    return tf.reshape(tape.batch_jacobian(logits, x), [len(x), networks.CLASSES, -1])


def test_on_a_linear_network_one_step_reaches_the_worst_of_half_the_radius():
    """Against the support function; a radius is above 0 where there is an error."""
    task = task_of("affine", eps=0.15, count=20)
    half = dataclasses.replace(task, region=dataclasses.replace(task.region, eps=0.075))
    worst = tf.reduce_min(walk_of(half)[0].minimum(), axis=1).numpy()
    ahead = trend(task, task.region.x, FIRST)
    x = followed(task, task.region.x, ahead)
    np.testing.assert_array_equal(task.errs(task.network(x)), worst < 0.0)
    np.testing.assert_array_equal(ahead.radius > 0.0, worst < 0.0)
    margins = tf.linalg.matvec(margin_spec(task.labels, networks.CLASSES), task.network(x))
    widest = ahead.radius.numpy() == 0.5
    assert widest.any()
    np.testing.assert_allclose(tf.reduce_min(margins, axis=1)[widest], worst[widest], atol=1e-5)


@pytest.mark.parametrize(
    ("threat", "targeted"), [("linf", False), ("linf", True), ("l2", True), ("l1", False)]
)
def test_the_radius_is_the_first_that_bounds_do_not_exclude(threat, targeted):
    task = task_of("dense", threat, eps=3.0 * RADII[threat])
    if targeted:
        task = dataclasses.replace(task, targets=(task.labels + 1) % networks.CLASSES)
    x = task.region.start(task.noise(0))
    expected = [least_radius(task, x[k : k + 1], k) for k in range(len(x))]
    ahead = trend(task, x, FIRST)
    np.testing.assert_allclose(ahead.radius, expected, rtol=1e-6)
    assert len(set(expected)) > 1
    still = ahead.radius.numpy() == 0.0
    np.testing.assert_array_equal(followed(task, x, ahead).numpy()[still], x.numpy()[still])
    assert (np.abs(ahead.gradient).max(axis=(1, 2, 3)) > 0.0)[~still].all()


def least_radius(task, x, k):
    for share in radii(FIRST):
        region = dataclasses.replace(task.region, x=x, eps=share * task.region.eps)
        spec = margin_spec(task.labels[k : k + 1], networks.CLASSES).numpy()
        if task.targets is not None:
            label, other = int(task.labels[k]), int(task.targets[k])
            spec = spec[:, spec[0, :, other] == -1.0]
            assert spec[0, 0, label] == 1.0
        bounds = fast_lin_ibp_bounds(task.network, region, tf.constant(spec))
        if bounds.margins.numpy().min() <= 0.0:
            return share
    return 0.0


def test_radii_grow_threefold_up_to_half_the_threats():
    np.testing.assert_allclose(radii(FIRST), [1 / 30, 0.1, 0.3, 0.5])
    assert radii(0.3) == [0.3, 0.5]
    assert radii(0.5) == [0.5]
    with pytest.raises(UserError, match="first: expected a number > 0; received 0"):
        radii(0.0)


def hills():
    """An image of one pixel at .5: nearby a low hill to its left, far away a high one to its right.

    The second logit is -.2 + .5 (x - .4) - relu(x - .4) + 4.5 relu(x - .55), the first is 0.
    """
    pixels = keras.Input((1,))
    hidden = keras.layers.Dense(3, activation="relu")
    model = keras.Model(pixels, keras.layers.Dense(2)(hidden(pixels)))
    bends = np.array([-9.0, 0.4, 0.55])
    weights = np.array([0.5, -1.0, 4.5])
    offset = -0.2 - 0.5 * 0.4 - 0.5 * 9.0
    hidden.set_weights([np.ones((1, 3)), -bends])
    model.layers[-1].set_weights([np.stack([0 * weights, weights], 1), np.array([0.0, offset])])
    x = tf.constant([[0.5]])
    return Task(
        trace(model).lower(), Region(Linf(), x, 0.4), tf.constant([0]), tf.constant([1], tf.uint64)
    )


def test_pgd_stays_on_a_low_hill_and_the_interval_attack_leaves_it():
    task = hills()
    np.testing.assert_allclose(task.network(task.region.x), [[0.0, -0.25]], atol=1e-6)
    options = {"step_size": 0.1}
    stuck = attack_with_restarts(task, lambda t, s: pgd(t, s, steps=100, **options), zero)
    assert not stuck.success.numpy()
    assert 0.35 < float(stuck.x[0, 0]) < 0.51
    left = attack_with_restarts(task, lambda t, s: interval_attack(t, s, steps=1, **options), zero)
    assert left.success.numpy()
    assert float(left.x[0, 0]) > 0.6


@pytest.mark.parametrize("threat", RADII)
def test_points_lie_inside(threat):
    task = task_of("dense", threat)
    x = interval_attack(task, uniform(task), steps=2, pgd_steps=2)
    assert task.region.inside(x).numpy().all()


def test_compiled_it_is_the_same_in_any_batch():
    task = task_of("dense")

    def attack(rows):
        some = task.take(rows)
        return interval_attack(some, uniform(some), steps=3, pgd_steps=2)

    eager = attack(tf.range(6))
    assert not np.allclose(eager, uniform(task), atol=1e-3)
    spec = [tf.TensorSpec([None], tf.int32)]
    compiled = tf.function(attack, input_signature=spec, autograph=False)
    np.testing.assert_allclose(compiled(tf.range(6)), eager, atol=1e-6)
    np.testing.assert_allclose(compiled(tf.range(3, 5)), eager[3:5], atol=1e-6)


@pytest.mark.parametrize("eps", [0.0, 1.0])
def test_extreme_radii(eps):
    task = task_of("dense")
    task = dataclasses.replace(task, region=dataclasses.replace(task.region, eps=eps))
    x = interval_attack(task, task.region.x, steps=2, pgd_steps=2)
    assert task.region.inside(x).numpy().all()


def test_a_radius_for_each_example():
    task = task_of("dense")
    eps = tf.constant([0.1, 0.3, 0.0, 0.1, 0.5, 0.2])
    task = dataclasses.replace(task, region=dataclasses.replace(task.region, eps=eps))
    x = interval_attack(task, task.region.x, steps=2, pgd_steps=2)
    assert task.region.inside(x).numpy().all()


def test_a_network_without_bounds_is_refused():
    task = dataclasses.replace(task_of("dense"), network=lambda x: x)
    with pytest.raises(UserError, match="expected a network whose bounds can be read.*function"):
        interval_attack(task, task.region.x, steps=1)
