"""Attacks stay in the region, climb, reach what can be reached, and are judged by others."""

import dataclasses
import math

import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.evaluation import attack_with_restarts, cross_entropy, predict
from rt_tf.attacks.pgd import fgsm, pgd
from rt_tf.threats.region import Region

SEED = tf.constant([3, 4], tf.int64)
RADII = {"linf": 0.1, "l2": 0.5, "l1": 2.0}


def threat(name):
    return catalogue.resolve("threat", name)()


@pytest.fixture(scope="module", params=catalogue.THREATS)
def victim(request):
    """A network, a region around six examples, and the labels it gives them."""
    model, wiring = networks.known("conv_same")
    x = tf.constant(networks.images(wiring.input_shape, 6))
    return model, Region(threat(request.param), x, RADII[request.param]), predict(model, x)


def draw(region, number=0):
    return noise.by_example(SEED + number, tf.range(len(region.x)), region.x.shape[1:].as_list())


@pytest.mark.parametrize("attack", catalogue.ATTACKS)
@pytest.mark.parametrize("eps", [8 / 255, 0.1, 1e-6, 0.0, 1.0])
@pytest.mark.parametrize("start", ["zero", "uniform"])
def test_points_lie_strictly_inside(victim, attack, eps, start):
    model, region, labels = victim
    region = Region(region.threat, region.x, eps)
    noise_or_none = draw(region) if start == "uniform" else None
    x = catalogue.resolve("attack", attack)(
        cross_entropy(model, labels), region, noise_or_none, steps=3, step_size=0.7
    )
    assert x.dtype == region.x.dtype
    moves = x.numpy().astype(np.float64) - region.x.numpy().astype(np.float64)
    order = {"linf": np.inf, "l2": 2, "l1": 1}[region.threat.name]
    assert np.linalg.norm(moves.reshape(len(moves), -1), order, axis=1).max() <= eps
    assert (x.numpy() >= 0).all()
    assert (x.numpy() <= 1).all()
    assert region.inside(x).numpy().all()


@pytest.mark.parametrize("start", ["zero", "uniform"])
def test_the_loss_increases(victim, start):
    model, region, labels = victim
    loss = cross_entropy(model, labels)
    begin = draw(region) if start == "uniform" else None
    points = [pgd(loss, region, begin, steps=steps, step_size=0.25) for steps in (1, 12)]
    losses = np.stack([loss(x).numpy() for x in (region.x, *points)])
    assert (losses[2] > losses[0]).all()
    assert losses[2].mean() > losses[1].mean() > losses[0].mean() - 1.0
    assert (predict(model, points[1]) != labels).numpy().any()


@pytest.mark.parametrize("attack", [fgsm, pgd])
def test_default_steps_can_use_up_the_radius(victim, attack):
    """Without a pixel range to end at: the last point is at the edge of the ball."""
    model, usual, labels = victim
    region = dataclasses.replace(usual, lower=-99.0, upper=99.0)
    x = attack(cross_entropy(model, labels), region)
    shorter = dataclasses.replace(region, eps=0.99 * usual.eps)
    assert region.inside(x).numpy().all()
    assert not shorter.inside(x).numpy().any()


def test_one_step_is_the_same_with_and_without_the_loop(victim):
    model, region, labels = victim
    loss = cross_entropy(model, labels)
    one = fgsm(loss, region, draw(region), steps=40, step_size=1.25)
    np.testing.assert_array_equal(one, pgd(loss, region, draw(region), steps=1, step_size=1.25))
    compiled = tf.function(lambda n: pgd(loss, region, n, steps=3))
    np.testing.assert_allclose(
        compiled(draw(region)), pgd(loss, region, draw(region), steps=3), atol=1e-6
    )


def test_no_steps_return_the_start(victim):
    model, region, labels = victim
    x = pgd(cross_entropy(model, labels), region, steps=0)
    np.testing.assert_array_equal(x, region.x)


def test_attacks_carry_no_gradient(victim):
    model, region, labels = victim
    for steps in (1, 2):
        with tf.GradientTape() as tape:
            tape.watch(region.x)
            x = pgd(cross_entropy(model, labels), region, steps=steps)
        assert tape.gradient(x, region.x) is None


def attacked(victim, attack=pgd, restarts=1, rows=slice(None), labels=None, region=None):
    model, usual, predicted = victim
    region = region or dataclasses.replace(usual, x=usual.x[rows])
    labels = predicted[rows] if labels is None else labels
    index = tf.range(100, 100 + len(usual.x), dtype=tf.int64)[rows]
    return attack_with_restarts(
        model, attack, region, labels, index, seed=SEED, restarts=restarts, steps=4, step_size=0.3
    )


def test_successes_are_counterexamples_and_are_never_lost(victim):
    model, region, labels = victim
    successes = []
    for restarts in (1, 2, 4):
        found = attacked(victim, restarts=restarts)
        wrong = predict(model, found.x) != labels
        assert (wrong.numpy() >= found.success.numpy()).all()
        assert region.inside(found.x).numpy().all()
        successes.append(found.success.numpy())
    assert (successes[0] <= successes[1]).all()
    assert (successes[1] <= successes[2]).all()
    assert successes[2].any()


def test_the_first_counterexample_is_kept(victim):
    once, often = attacked(victim), attacked(victim, restarts=3)
    kept = once.success.numpy()
    np.testing.assert_array_equal(often.x.numpy()[kept], once.x.numpy()[kept])


def test_an_example_is_attacked_alike_in_any_batch(victim):
    whole, part = attacked(victim), attacked(victim, rows=slice(3, 5))
    np.testing.assert_allclose(part.x, whole.x[3:5], atol=1e-6)
    np.testing.assert_array_equal(part.success, whole.success[3:5])


def test_points_outside_the_region_are_no_success(victim):
    labels = victim[2]

    def cheat(loss, region, noise, steps, step_size):
        move = 1.5 * region.eps / region.threat.spread(math.prod(region.x.shape[1:]))
        return tf.where(region.x > 0.5, region.x - move, region.x + move)

    wrong = (labels + 1) % networks.CLASSES  # every point is then misclassified
    assert not attacked(victim, cheat, labels=wrong).success.numpy().any()
    assert attacked(victim, labels=wrong).success.numpy().any()


def test_radius_zero_leaves_the_clean_verdict(victim):
    _, usual, labels = victim
    region = dataclasses.replace(usual, eps=0.0)
    assert not attacked(victim, region=region).success.numpy().any()
    assert attacked(victim, region=region, labels=(labels + 1) % 3).success.numpy().all()


def test_noise_by_example_depends_on_seed_and_index_alone():
    index = tf.constant([5, 17, 3, 99], tf.int64)
    whole = noise.by_example(SEED, index, [2, 3]).numpy()
    np.testing.assert_array_equal(noise.by_example(SEED, index[2:], [2, 3]), whole[2:])
    np.testing.assert_array_equal(noise.by_example(SEED, index[::-1], [2, 3]), whole[::-1])
    assert len(np.unique(whole)) == whole.size
    assert not np.array_equal(noise.by_example(SEED + 1, index, [2, 3]), whole)
    assert (whole >= 0).all()
    assert (whole < 1).all()


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_noise_by_position_does_not_depend_on_replicas(replicas):
    x = tf.zeros([8, 2, 3])
    whole = noise.by_position(SEED, x, 0, 1).numpy()
    rows = 8 // replicas
    parts = [noise.by_position(SEED, x[:rows], rank, replicas) for rank in range(replicas)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
