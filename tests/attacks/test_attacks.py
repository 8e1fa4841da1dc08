"""Attacks stay in the region, climb, reach what can be reached, and are judged by others."""

import dataclasses
import math

import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise, starts
from rt_tf.attacks.gradient.adaptive import adaptive
from rt_tf.attacks.gradient.pgd import fgsm, mim, pgd
from rt_tf.attacks.judging import attack_with_restarts, check_success
from rt_tf.attacks.losses import margin
from rt_tf.attacks.task import Task
from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.threats.region import Region

SEED = tf.constant([3, 4], tf.int64)
RADII = {"linf": 0.1, "l2": 0.5, "l1": 2.0, "union": 0.25}
ORDERS = {"linf": np.inf, "l2": 2, "l1": 1}
COMPILED = [name for name, entry in catalogue.ATTACKS.items() if entry.training]


PAIRS = [(t, name) for t in RADII for name in catalogue.attacks_on(t) if name in COMPILED]
QUICK = [("linf", "fgsm"), ("linf", "mim"), ("l2", "pgd"), ("l1", "pgd"), ("union", "msd")]
QUICK += [("union", "worst"), ("linf", "adaptive")]


def crossed(pairs):
    """Threats and attacks on them, of which a few are quick."""
    chosen = [
        pytest.param(*pair, marks=[] if pair in QUICK else pytest.mark.slow) for pair in pairs
    ]
    return pytest.mark.parametrize(("victim", "name"), chosen, indirect=["victim"])


pairs = crossed(PAIRS)


@pytest.fixture(scope="module", params=networks.mostly_slow(list(RADII), ["linf"]))
def victim(request):
    """The task to attack six examples of a network, whose labels are what it answers."""
    model, wiring = networks.known("conv_same")
    x = tf.constant(networks.images(wiring.input_shape, 6))
    region = Region(catalogue.threat(request.param), x, RADII[request.param])
    keys = noise.keys(SEED, tf.range(100, 106))
    return Task(wiring.lower(), region, tf.argmax(model(x), axis=-1), keys)


def around(task, **changes):
    """The task in a changed region."""
    return dataclasses.replace(task, region=dataclasses.replace(task.region, **changes))


def run(name, task, start=starts.uniform, **settings):
    return catalogue.attack(name, settings)(task, start(task))


@pairs
@pytest.mark.parametrize("eps", networks.mostly_slow([8 / 255, 0.1, 1e-6, 0.0, 1.0], [0.1]))
@pytest.mark.parametrize(
    "start", networks.mostly_slow(["zero", "uniform", "signs", "ball"], ["uniform"])
)
def test_points_lie_strictly_inside(victim, name, eps, start):
    task = around(victim, eps=eps)
    x = run(name, task, catalogue.resolve("start", start), steps=3, step_size=0.7)
    assert x.dtype == task.region.x.dtype
    moves = x.numpy().astype(np.float64) - task.region.x.numpy().astype(np.float64)
    moves = moves.reshape(len(moves), -1)
    balls = getattr(task.region.threat, "parts", [(task.region.threat, 1.0)])
    sizes = [np.linalg.norm(moves, ORDERS[ball.name], axis=1) / r for ball, r in balls]
    assert np.min(sizes, axis=0).max() <= eps
    assert (x.numpy() >= 0).all()
    assert (x.numpy() <= 1).all()
    assert task.region.inside(x).numpy().all()


@pytest.mark.parametrize("victim", ["linf"], indirect=True)
def test_a_start_in_the_ball_knows_no_range_but_an_attack_from_there_does(victim):
    """At the ends of the range, too, every pixel moves; in the region half of them cannot."""
    task = around(victim, x=tf.round(victim.region.x))
    start, within = starts.ball(task), starts.uniform(task)
    moves = (start - task.region.x).numpy()
    assert abs(moves).max() <= task.region.eps
    np.testing.assert_array_equal(np.clip(start, 0.0, 1.0), within)
    assert 0.4 < ((start < 0.0) | (start > 1.0)).numpy().mean() < 0.6
    assert task.region.inside(fgsm(task, start)).numpy().all()


@pytest.mark.parametrize("victim", ["linf"], indirect=True)
def test_a_threat_without_a_ball_beyond_the_range_has_no_start_there(victim):
    with pytest.raises(UserError, match="expected another than ball for wasserstein; received"):
        starts.ball(around(victim, threat=catalogue.threat("wasserstein")))


@crossed([pair for pair in PAIRS if pair[1] not in ("fgsm", "adaptive")])
@pytest.mark.parametrize("start", [starts.zero, starts.uniform])
def test_the_loss_increases(victim, name, start):
    few, many = (run(name, victim, start, steps=steps, step_size=0.25) for steps in (1, 12))
    losses = np.stack([victim.values(x).numpy() for x in (victim.region.x, few, many)])
    assert (losses[2] > losses[0]).all()
    assert losses[2].mean() > losses[1].mean() > losses[0].mean() - 1.0
    assert victim.errs(victim.logits(many)).numpy().any()


@pytest.mark.parametrize("attack", [fgsm, pgd, mim])
def test_default_steps_can_use_up_the_radius(victim, attack):
    """Without a pixel range to end at: the last point is at the edge of the ball."""
    task = around(victim, domain=Domain(-99.0, 99.0))
    x = attack(task, task.region.x, steps=10)
    shorter = dataclasses.replace(task.region, eps=0.9 * task.region.eps)
    assert task.region.inside(x).numpy().all()
    assert not shorter.inside(x).numpy().any()


def test_one_step_is_the_same_with_and_without_the_loop(victim):
    start = starts.uniform(victim)
    one = fgsm(victim, start, steps=40, step_size=1.25)
    np.testing.assert_array_equal(one, pgd(victim, start, steps=1, step_size=1.25))
    stopping = pgd(victim, start, steps=1, step_size=1.25, early_stop=True)
    errs = victim.errs(victim.logits(start))[:, None, None, None]
    np.testing.assert_allclose(stopping, tf.where(errs, start, one), atol=1e-6)


@pairs
@pytest.mark.parametrize("early_stop", networks.mostly_slow([False, True], [True]))
def test_compiled_attacks_are_the_eager_ones(victim, name, early_stop):
    settings = {"steps": 3, "early_stop": early_stop}
    compiled = tf.function(lambda: run(name, victim, **settings), autograph=False)
    np.testing.assert_allclose(compiled(), run(name, victim, **settings), atol=1e-5)


@pytest.mark.parametrize("attack", [pgd, mim])
def test_early_stop_leaves_points_where_the_network_first_errs(victim, attack):
    """The points are the plain attack's at the first step at which it errs, or its last."""
    start = starts.uniform(victim)
    expected, open_ = start, np.ones(6, bool)
    for steps in range(7):
        errs = victim.errs(victim.logits(expected)).numpy()
        open_ &= ~errs
        x = attack(victim, start, steps=steps, step_size=0.2)
        expected = tf.where(open_[:, None, None, None], x, expected)
    assert not open_.all()
    points = attack(victim, start, steps=6, step_size=0.2, early_stop=True)
    np.testing.assert_allclose(points, expected, atol=1e-5)


def test_no_steps_return_the_start(victim):
    for attack in (pgd, mim):
        x = attack(victim, victim.region.x, steps=0)
        np.testing.assert_array_equal(x, victim.region.x)


def test_attacks_carry_no_gradient(victim):
    for steps in (1, 2):
        with tf.GradientTape() as tape:
            tape.watch(victim.region.x)
            x = pgd(victim, victim.region.x, steps=steps)
        assert tape.gradient(x, victim.region.x) is None


def test_targets_are_reached_and_only_they_count(victim):
    targets = (victim.labels + 1) % networks.CLASSES
    task = dataclasses.replace(around(victim, eps=2.0 * victim.region.eps), targets=targets)
    result = attack_with_restarts(
        task, lambda t, x: pgd(t, x, steps=20, early_stop=True), starts.zero
    )
    answers = tf.argmax(victim.logits(result.x), axis=1).numpy()
    np.testing.assert_array_equal(result.success, answers == targets.numpy())
    assert result.success.numpy().any()


@pytest.mark.parametrize("scale", [1.0, 1024.0])
def test_what_an_attack_sees_is_the_loss_and_its_gradient(victim, scale):
    task = dataclasses.replace(victim, loss=margin, scale=scale)
    evaluation, step = task.evaluate(task.region.x), 1e-3
    direction = tf.sign(evaluation.gradient)
    ends = [task.values(task.region.x + sign * step * direction) for sign in (1.0, -1.0)]
    slope = (ends[0] - ends[1]) / (2.0 * step)
    steepest = tf.reduce_sum(tf.abs(evaluation.gradient), axis=[1, 2, 3]) / scale
    np.testing.assert_allclose(slope, steepest, rtol=0.1, atol=1e-3)
    np.testing.assert_allclose(evaluation.loss, task.values(task.region.x), rtol=1e-6)


def attacked(task, attack=None, restarts=1):
    attack = attack or (lambda t, start: pgd(t, start, steps=4, step_size=0.3))
    return attack_with_restarts(task, attack, starts.uniform, restarts)


def test_successes_are_counterexamples_and_are_never_lost(victim):
    successes = []
    for restarts in (1, 2, 4):
        result = attacked(victim, restarts=restarts)
        wrong = victim.errs(victim.logits(result.x))
        assert (wrong.numpy() >= result.success.numpy()).all()
        assert victim.region.inside(result.x).numpy().all()
        successes.append(result.success.numpy())
    assert (successes[0] <= successes[1]).all()
    assert (successes[1] <= successes[2]).all()
    assert successes[2].any()


def test_the_first_counterexample_is_kept(victim):
    once, often = attacked(victim), attacked(victim, restarts=3)
    kept = once.success.numpy()
    np.testing.assert_array_equal(often.x.numpy()[kept], once.x.numpy()[kept])


def test_an_example_is_attacked_alike_in_any_batch(victim):
    rows = tf.range(3, 5)
    whole, part = attacked(victim, restarts=2), attacked(victim.take(rows), restarts=2)
    np.testing.assert_allclose(part.x, tf.gather(whole.x, rows), atol=1e-6)
    np.testing.assert_array_equal(part.success, tf.gather(whole.success, rows))


def test_restarts_differ(victim):
    points = []

    def note(task, start):
        points.append(start.numpy())
        return task.region.x

    attacked(victim, note, restarts=3)
    assert len(points) == 3
    assert not np.allclose(points[0], points[1])
    assert not np.allclose(points[1], points[2])


def test_points_outside_the_region_are_no_success(victim):
    task = dataclasses.replace(victim, labels=(victim.labels + 1) % networks.CLASSES)

    def cheat(task, start):
        region = task.region
        move = 1.5 * region.eps / region.threat.spread(math.prod(region.x.shape[1:]))
        move = tf.maximum(move, 1.5 * region.eps) if region.threat.name == "union" else move
        return tf.where(region.x > 0.5, region.x - move, region.x + move)

    assert attacked(task).success.numpy().all()  # every point is misclassified
    outside = check_success(task, cheat(task, None))
    assert not outside.success.numpy().any()


def test_radius_zero_leaves_the_clean_verdict(victim):
    task = around(victim, eps=0.0)
    assert not attacked(task).success.numpy().any()
    wrong = dataclasses.replace(task, labels=(task.labels + 1) % networks.CLASSES)
    assert attacked(wrong).success.numpy().all()


def test_noise_depends_on_the_key_alone():
    index = tf.constant([5, 17, 3, 99], tf.int64)
    whole = noise.uniform(noise.keys(SEED, index), [2, 3]).numpy()
    np.testing.assert_array_equal(noise.uniform(noise.keys(SEED, index[2:]), [2, 3]), whole[2:])
    backward = noise.uniform(noise.keys(SEED, index[::-1]), [2, 3])
    np.testing.assert_array_equal(backward, whole[::-1])
    assert len(np.unique(whole)) == whole.size
    assert not np.array_equal(noise.uniform(noise.keys(SEED + 1, index), [2, 3]), whole)


def test_noise_is_uniform_and_independent():
    """By moments and correlations of a million numbers, and by their bytes."""
    keys = noise.fold(noise.keys(SEED, tf.range(1000)), 7)
    numbers = noise.uniform(keys, [1000]).numpy().astype(np.float64)
    assert (numbers >= 0).all()
    assert (numbers < 1).all()
    counts = np.bincount((256 * numbers.ravel()).astype(int), minlength=256)
    chi = ((counts - 1e6 / 256) ** 2).sum() / (1e6 / 256)
    assert 160.0 < chi < 370.0  # 255 degrees of freedom: five standard deviations
    centred = numbers - 0.5
    for other in (centred[1:] * centred[:-1], centred[:, 1:] * centred[:, :-1]):
        assert abs(12.0 * other.mean()) < 5e-3
    next_draw = noise.uniform(noise.fold(noise.keys(SEED, tf.range(1000)), 8), [1000]).numpy()
    assert abs(12.0 * (centred * (next_draw - 0.5)).mean()) < 5e-3


def test_splitmix_is_the_published_generator():
    """The first numbers for the seed 1234567, as its authors' reference code prints them."""
    key = tf.constant([1234567], tf.uint64)
    published = [6457827717110365317, 3203168211198807973, 9817491932198370423]
    numbers = noise.uniform(key, [3]).numpy()[0]
    np.testing.assert_array_equal(numbers, [(n >> 40) / 2**24 for n in published])


def test_the_adaptive_radius_is_the_first_at_which_the_network_errs(victim):
    """By example, the distance is within the radius of the step that first errs."""
    task = around(victim, eps=2.0 * victim.region.eps)
    x = adaptive(task, task.region.x, steps=20, every=4, growth=1.5)
    errs = victim.errs(victim.logits(x)).numpy()
    assert errs.any()
    distance = task.region.distance(x).numpy()
    eps = float(task.region.eps)
    for steps in (4, 8, 12, 16):  # what a shorter ascent, up to a smaller radius, finds
        radius = eps * 1.5 ** (steps // 4 - 5)
        short = adaptive(around(task, eps=radius), task.region.x, steps, every=4, growth=1.5)
        reached = victim.errs(victim.logits(short)).numpy()
        np.testing.assert_array_equal(reached, errs & (distance <= radius))
