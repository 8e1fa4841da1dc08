"""Each system's objective against its formula, computed here by other means."""

import dataclasses
import functools
import math

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise, starts
from rt_tf.attacks.gradient.latent import latent_attack
from rt_tf.attacks.gradient.pgd import fgsm, pgd
from rt_tf.attacks.gradient.union import by_part, msd, worst_part
from rt_tf.attacks.judging import Attack
from rt_tf.attacks.task import Task
from rt_tf.bounds.latent import latent_region
from rt_tf.bounds.methods import cauchy_bounds, dual_bounds, interval_bounds
from rt_tf.bounds.result import margin_spec
from rt_tf.errors import UserError
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region, Threat
from rt_tf.threats.union import Union
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.mixing import beta
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Attacked, Clean, EachPart, Free, Latent, Trades, cut
from rt_tf.training.objectives.regularisers import L1, L2, ReluStability, WarmUp
from rt_tf.training.objectives.worst_case import WorstCase, part, worst_case_loss
from tests.training.small import CLASSES, batch, compiled, cross_entropy, network, step

PGD = functools.partial(pgd, steps=3)
BALL = catalogue.threat("l2")
UNION = Union(radii=(1.0, 6.0, 20.0))


def gradients(model: RobustModel, x: tf.Tensor, y: tf.Tensor) -> list[np.ndarray]:
    """The gradients of the objective by every weight that it trains."""
    with tf.GradientTape() as tape:
        loss = model.outcome(x, y, tape).terms.loss
    by_weight = tape.gradient(loss, model.network.trainable_variables)
    return _whole(by_weight, model.network.trainable_variables)


def _whole(by_weight: list[tf.Tensor | None], weights: list[keras.Variable]) -> list[np.ndarray]:
    """The gradients as arrays, zeros where a weight has no part in the loss."""
    pairs = zip(by_weight, weights, strict=True)
    return [np.zeros(w.shape) if g is None else g.numpy() for g, w in pairs]


def agree(ours: list[np.ndarray], theirs: list[np.ndarray]) -> None:
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-4, atol=2e-6)


def after_a_step(objective: Objective, **settings: float) -> list[np.ndarray]:
    """The weights after a training step of a new network."""
    net = network()
    step(compiled(objective, net, **settings), batch())
    return net.get_weights()


def ibp_loss(net: keras.Model, lower: tf.Tensor, upper: tf.Tensor, y: tf.Tensor) -> float:
    """The worst-case loss by intervals, layer by layer; margins composed with the last layer."""
    kernels = [layer for layer in net.layers if layer.weights]
    convolution, hidden, last = kernels
    kernel = convolution.kernel.numpy()

    def conv(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return tf.nn.conv2d(values, weights, 1, "SAME").numpy()

    centre, radius = (lower + upper) / 2, (upper - lower) / 2
    centre = conv(centre, kernel) + convolution.bias.numpy()
    radius = conv(radius, np.abs(kernel))
    low, high = (
        np.maximum(end, 0).reshape(len(y), -1) for end in (centre - radius, centre + radius)
    )
    weights = hidden.kernel.numpy()
    centre = (low + high) / 2 @ weights + hidden.bias.numpy()
    radius = (high - low) / 2 @ np.abs(weights)
    low, high = np.maximum(centre - radius, 0), np.maximum(centre + radius, 0)
    total = 0.0
    for i, label in enumerate(np.asarray(y)):
        worst = [0.0]
        for other in set(range(CLASSES)) - {label}:
            row = last.kernel.numpy()[:, label] - last.kernel.numpy()[:, other]
            margin = (low[i] + high[i]) / 2 @ row - (high[i] - low[i]) / 2 @ np.abs(row)
            worst.append(-(margin + last.bias.numpy()[label] - last.bias.numpy()[other]))
        total += math.log(sum(map(math.exp, worst)))
    return total / len(y)


# --- point terms


def test_trades_is_the_clean_loss_and_beta_times_the_divergence() -> None:
    net, (x, y) = network(), batch()
    model = compiled(Objective(Linf(), Trades(PGD, 6.0)), net, eps=0.1)
    with tf.GradientTape() as tape:
        outcome = model.outcome(x, y, tape)
    assert float(tf.reduce_max(tf.abs(outcome.point - x))) > 0.05
    p, q = tf.nn.softmax(net(x)).numpy(), tf.nn.softmax(net(outcome.point)).numpy()
    apart = (p * np.log(p / q)).sum(1).mean()
    assert apart > 1e-4
    assert float(outcome.terms.loss) == pytest.approx(cross_entropy(net(x), y) + 6.0 * apart)


def test_the_gradient_of_trades_passes_through_both_logits_and_not_through_the_attack() -> None:
    """On an L2 ball, as a step by signs has no gradient anyway."""
    net, (x, y) = network(), batch()
    model = compiled(Objective(BALL, Trades(PGD, 2.0)), net, eps=0.5)
    with tf.GradientTape() as tape:
        point = model.outcome(x, y, tape).point
    with tf.GradientTape() as tape:
        clean, moved = tf.nn.log_softmax(net(x)), tf.nn.log_softmax(net(tf.constant(point)))
        divergence = tf.reduce_sum(tf.exp(clean) * (clean - moved), axis=1)
        of_label = -tf.gather(clean, y, batch_dims=1)
        loss = tf.reduce_mean(of_label + 2.0 * divergence)
    agree(gradients(model, x, y), tape.gradient(loss, net.trainable_variables))


def test_the_attack_of_trades_raises_the_divergence() -> None:
    net, (x, y) = network(), batch()
    model = compiled(Objective(Linf(), Trades(functools.partial(pgd, steps=8), 1.0)), net, eps=0.2)
    with tf.GradientTape() as tape:
        point = model.outcome(x, y, tape).point

    def divergence(images: tf.Tensor) -> float:
        p, q = tf.nn.softmax(net(x)).numpy(), tf.nn.softmax(net(images)).numpy()
        return float((p * np.log(p / q)).sum(1).mean())

    draw = np.random.default_rng(1)
    random = [
        divergence(np.clip(x + draw.choice([-0.2, 0.2], x.shape), 0, 1).astype(np.float32))
        for _ in range(50)
    ]
    assert divergence(point) > max(random)


def test_free_moves_the_perturbation_by_the_steps_own_gradient() -> None:
    """Algorithm 6 of the thesis by hand: a batch, its replay, and the next one."""
    net, examples = network(), batch()
    twin, rate = network(), 0.1
    model = compiled(Objective(Linf(), Free()), net, eps=0.1)
    moves = tf.zeros_like(examples[0])
    for x, y in (examples, examples, [values[::-1] for values in examples]):
        point = tf.Variable(tf.clip_by_value(x + moves, 0.0, 1.0))
        with tf.GradientTape() as tape:
            losses = keras.losses.sparse_categorical_crossentropy(y, twin(point), from_logits=True)
            loss = tf.reduce_mean(losses)
        weights = twin.trainable_variables
        by_weight, at_point = tape.gradient(loss, [weights, point])
        assert float(step(model, (x, y))["point_loss"]) == pytest.approx(float(loss), rel=1e-4)
        for weight, gradient in zip(weights, by_weight, strict=True):
            weight.assign_sub(rate * gradient)
        moves = tf.clip_by_value(point - x + 0.1 * tf.sign(at_point), -0.1, 0.1)
        moves = tf.clip_by_value(x + moves, 0.0, 1.0) - x
        np.testing.assert_allclose(model.moves, moves, atol=1e-5)
        agree(net.get_weights(), twin.get_weights())


def test_the_latent_point_at_the_image_with_sign_steps_is_pgd() -> None:
    """COLT's stage 0, from the image itself."""
    net, (x, y) = network(), batch()
    attack = functools.partial(pgd, steps=3, step_size=0.5)
    model = compiled(Objective(Linf(), Attacked(attack, starts.zero)), net, eps=0.05)
    point = step(model, (x, y))["point_loss"]
    net = network()
    latent = Latent(0, steps=3, step_size=0.5, signs=True, random_start=False)
    model = compiled(Objective(Linf(), latent), net, eps=0.05)
    assert float(step(model, (x, y))["point_loss"]) == pytest.approx(float(point), rel=1e-4)


@pytest.mark.parametrize("layer", [1, 2])
def test_the_latent_term_trains_the_layers_above_alone(layer: int) -> None:
    net, (x, y) = network(), batch()
    model = compiled(Objective(Linf(), Latent(layer, 4), regularisers=[L1(0.1)]), net, eps=0.1)
    before = net.get_weights()
    terms = step(model, (x, y))
    moved = [not np.array_equal(a, b) for a, b in zip(before, net.get_weights(), strict=True)]
    assert moved == [k >= 2 * layer for k in range(6)]
    assert float(terms["point_loss"]) > cross_entropy(network()(x), y)


def test_the_latent_loss_is_that_of_a_point_of_the_zonotope() -> None:
    """One layer below: between the interval ends of its ReLU, and worse than any image."""
    net, (x, y) = network(), batch()
    model = compiled(Objective(Linf(), Latent(1, 20)), net, eps=0.1)
    latent = float(step(model, (x, y))["point_loss"])
    net = network()
    region = Region(Linf(), x, 0.1)
    task = Task(RobustModel(net).wiring.lower(), region, y, noise.keys(tf.constant([0]), y))
    attacked = cross_entropy(net(pgd(task, x, steps=40)), y)
    worst = ibp_loss(net, tf.maximum(x - 0.1, 0.0), tf.minimum(x + 0.1, 1.0), y)
    assert attacked - 1e-3 <= latent <= worst


def test_a_latent_layer_that_there_is_not_is_refused() -> None:
    graph = RobustModel(network()).wiring.lower()
    assert cut(graph, 0) == 0
    with pytest.raises(UserError, match="latent_layer: expected 0 to 2, .*; received 3"):
        cut(graph, 3)


def test_multi_steepest_descent_starts_at_the_image() -> None:
    net, (x, y) = network(), batch()
    union = Union(radii=(0.1, 0.5, 1.0))
    attack = functools.partial(msd, steps=4)
    model = compiled(Objective(union, Attacked(attack, starts.zero)), net, eps=1.0)
    task = Task(model.wiring.lower(), Region(union, x, 1.0), y, model.draws(x, y).keys())
    expected = cross_entropy(net(msd(task, x, steps=4)), y)
    assert float(step(model, (x, y))["point_loss"]) == pytest.approx(expected, rel=1e-5)


def in_parts(radii: tuple[float, ...], steps: int) -> tuple[Task, np.ndarray, np.ndarray]:
    """A task on a union; where PGD from the image ends in each part, and the losses there."""
    net, (x, y) = network(), batch(30)
    model = compiled(Objective(Union(radii)), net, eps=1.0)
    task = Task(model.wiring.lower(), Region(Union(radii), x, 1.0), y, model.draws(x, y).keys())
    points = np.stack([pgd(each, x, steps, step_size=1.0) for each in by_part(task)])
    return task, points, np.stack([task.values(tf.constant(x)) for x in points])


@pytest.mark.parametrize(("attack", "steps"), [(msd, 1), (worst_part, 3)])
def test_on_a_union_an_example_goes_where_its_loss_is_highest(attack: Attack, steps: int) -> None:
    """A step of multi steepest descent is that of the best part; the worst part is the best end."""
    task, points, losses = in_parts((0.05, 0.15, 0.4), steps)
    best = losses.argmax(axis=0)
    assert len(set(best)) > 1
    end = attack(task, task.region.x, steps=steps, step_size=1.0)
    np.testing.assert_allclose(end, points[best, np.arange(len(best))], atol=1e-6)


def test_pgd_aug_averages_the_losses_in_the_parts() -> None:
    net, (x, y) = network(), batch()
    union = Union(radii=(0.1, 0.5, 1.0))
    model = compiled(Objective(union, EachPart(PGD, starts.zero)), net, eps=1.0)
    task = Task(model.wiring.lower(), Region(union, x, 1.0), y, model.draws(x, y).keys())
    losses = [cross_entropy(net(PGD(part, x)), y) for part in by_part(task)]
    assert len(set(losses)) == 3
    expected = sum(losses) / 3
    assert float(step(model, (x, y))["point_loss"]) == pytest.approx(expected, rel=1e-5)


def leaning(task: Task, start: tf.Tensor) -> tf.Tensor:
    """An "attack" whose end depends on the weights, and hides that from no tape."""
    return start + 0.1 * tf.reshape(tf.tanh(task.values(start)), [-1, 1, 1, 1])


POINT_TERMS = {
    "attacked": (Linf(), Attacked(leaning, starts.zero)),
    "previous": (Linf(), Attacked(leaning, None)),
    "trades": (Linf(), Trades(leaning, 2.0, starts.zero)),
    "each": (UNION, EachPart(leaning, starts.zero)),
}


@pytest.mark.parametrize("name", POINT_TERMS)
def test_no_gradient_passes_through_an_attack(name: str) -> None:
    threat, term = POINT_TERMS[name]
    constant = dataclasses.replace(term, attack=lambda *of: tf.stop_gradient(leaning(*of)))
    net, (x, y) = network(), batch()
    by_term = [
        gradients(compiled(Objective(threat, each), net, eps=0.1), x, y)
        for each in (term, constant)
    ]
    agree(*by_term)
    assert max(np.abs(gradient).max() for gradient in by_term[0]) > 1e-3


def test_mixup_mixes_images_and_losses_of_two_examples() -> None:
    net, (x, y) = network(), batch()
    model = compiled(Objective(Linf(), mixup=1.4), net, eps=0.1)
    share, partner = float(beta(model.draws(x, y).seed(), 1.4)), [1, 0, 3, 2, 5, 4]
    logits = net(share * x + (1 - share) * tf.gather(x, partner))
    expected = share * cross_entropy(logits, y)
    expected += (1 - share) * cross_entropy(logits, tf.gather(y, partner))
    assert 0.0 < share < 1.0
    assert float(step(model, (x, y))["point_loss"]) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("alpha", [0.02, 0.2, 1.4])
def test_shares_of_mixup_follow_the_beta_distribution(alpha: float) -> None:
    draw = tf.function(lambda k: beta(tf.stack([k, 3]), alpha))
    shares = [float(draw(k)) for k in tf.range(1000)]
    for bound in (1e-6, 0.01, 0.3, 0.5, 0.8):
        expected = scipy.stats.beta(alpha, alpha).cdf(bound)
        error = math.sqrt(expected * (1.0 - expected) / len(shares))
        assert np.mean(np.less(shares, bound)) == pytest.approx(expected, abs=4.0 * error + 1e-12)


def test_the_attack_under_mixup_raises_the_mixed_loss() -> None:
    """One step from the mixed image along the signs of the mixed loss's gradient."""
    net, (x, y) = network(), batch()
    attack = functools.partial(pgd, steps=1, step_size=0.5)
    model = compiled(Objective(Linf(), Attacked(attack, starts.zero), mixup=1.4), net, eps=0.2)
    share, partner = float(beta(model.draws(x, y).seed(), 1.4)), [1, 0, 3, 2, 5, 4]
    mixed = tf.Variable(share * x + (1 - share) * tf.gather(x, partner))
    losses = []
    with tf.GradientTape(persistent=True) as tape:
        for labels in (y, tf.gather(y, partner)):
            by_example = keras.losses.sparse_categorical_crossentropy(labels, net(mixed), True)
            losses.append(tf.reduce_sum(by_example))
        loss = share * losses[0] + (1 - share) * losses[1]
    signs = tf.sign(tape.gradient(loss, mixed))
    assert (signs != tf.sign(tape.gradient(losses[0], mixed))).numpy().any()
    with tf.GradientTape() as tape:
        point = model.outcome(x, y, tape).point
    np.testing.assert_allclose(point, tf.clip_by_value(mixed + 0.1 * signs, 0, 1), atol=1e-5)


# --- bound terms


def test_the_ibp_term_is_what_intervals_by_hand_give() -> None:
    net, (x, y) = network(), batch()
    model = compiled(Objective(Linf(), bound=WorstCase(interval_bounds)), net, eps=0.1, kappa=1)
    expected = ibp_loss(net, tf.maximum(x - 0.1, 0.0), tf.minimum(x + 0.1, 1.0), y)
    assert float(step(model, (x, y))["bound_loss"]) == pytest.approx(expected, rel=1e-5)


def test_sabr_bounds_a_small_box_around_the_attacked_point() -> None:
    net, (x, y) = network(), batch()
    objective = Objective(Linf(), Attacked(PGD), WorstCase(interval_bounds, ratio=0.4))
    model = compiled(objective, net, eps=0.1, kappa=1)
    with tf.GradientTape() as tape:
        point = model.outcome(x, y, tape).point
    low, high = tf.maximum(x - 0.06, 0.0), tf.minimum(x + 0.06, 1.0)
    centre = tf.clip_by_value(point, low, high)
    expected = ibp_loss(net, tf.maximum(centre - 0.04, 0.0), tf.minimum(centre + 0.04, 1.0), y)
    assert float(step(model, (x, y))["bound_loss"]) == pytest.approx(expected, rel=1e-5)


def test_the_small_region_stays_within_the_whole_one() -> None:
    x, _ = batch()
    draw = np.random.default_rng(0)
    for name in ("linf", "l2", "l1"):
        threat = catalogue.threat(name)
        whole = Region(threat, x, 0.3)
        edge = whole.project(x + tf.constant(draw.normal(size=x.shape), tf.float32))
        small = part(whole, edge, 0.4)
        far = small.project(small.x + tf.constant(draw.normal(size=x.shape), tf.float32))
        assert float(tf.reduce_max(whole.distance(far))) < 0.3 + 1e-5


def test_a_region_of_ratio_one_is_the_whole_one() -> None:
    x, _ = batch()
    for threat in (Linf(), BALL, catalogue.threat("l1")):
        whole = part(Region(threat, x, 0.3), tf.ones_like(x), 1.0)
        np.testing.assert_allclose(whole.x, x, atol=1e-7)
        assert float(whole.eps) == pytest.approx(0.3)


def test_sabr_with_ratio_one_is_ibp() -> None:
    ibp = Objective(Linf(), bound=WorstCase(interval_bounds))
    sabr = Objective(Linf(), Attacked(PGD), WorstCase(interval_bounds, ratio=1.0))
    settings = {"eps": 0.1, "kappa": 1.0}
    agree(after_a_step(sabr, **settings), after_a_step(ibp, **settings))


@pytest.mark.parametrize(
    ("alpha", "same"),
    [
        (1.0, Objective(Linf(), bound=WorstCase(interval_bounds))),
        (0.0, Objective(Linf(), Attacked(PGD))),
    ],
)
def test_mtl_ibp_is_ibp_at_one_and_pgd_at_zero(alpha: float, same: Objective) -> None:
    mtl = Objective(Linf(), Attacked(PGD), WorstCase(interval_bounds))
    weights = after_a_step(same, eps=0.1, kappa=alpha)
    agree(after_a_step(mtl, eps=0.1, kappa=alpha), weights)
    other = after_a_step(mtl, eps=0.1, kappa=1.0 - alpha)
    assert max(np.abs(a - b).max() for a, b in zip(other, weights, strict=True)) > 1e-3


def test_mixtrain_on_the_whole_batch_is_the_full_bound() -> None:
    full = Objective(Linf(), bound=WorstCase(interval_bounds))
    some = Objective(Linf(), bound=WorstCase(interval_bounds, samples=6))
    settings = {"eps": 0.1, "kappa": 0.8}
    agree(after_a_step(some, **settings), after_a_step(full, **settings))


@pytest.mark.parametrize(("threat", "eps"), [(Linf(), 0.1), (BALL, 0.3)], ids=["linf", "l2"])
def test_the_cauchy_term_approaches_the_exact_one(threat: Threat, eps: float) -> None:
    losses = []
    for projections in (20, 20_000):
        bound = functools.partial(cauchy_bounds, projections=projections)
        objective = Objective(threat, bound=WorstCase(bound, draws=True))
        model = compiled(objective, network(), eps=eps, kappa=1.0)
        losses.append(float(step(model, batch())["bound_loss"]))
    exact = Objective(threat, bound=WorstCase(dual_bounds))
    model = compiled(exact, network(), eps=eps, kappa=1.0)
    expected = float(step(model, batch())["bound_loss"])
    assert losses[1] == pytest.approx(expected, rel=0.01)
    assert abs(losses[1] - expected) < abs(losses[0] - expected)


# --- regularisers


def term(regulariser: object, eps: float = 0.1, **options: object) -> tuple[float, keras.Model]:
    """A regulariser's value on the small network, and that network before the step."""
    model = compiled(Objective(Linf(), regularisers=[regulariser], **options), network(), eps=eps)
    return float(step(model, batch())["penalty"]), network()


def preactivations(net: keras.Model, eps: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Interval ends of what the two ReLUs read."""
    x, _ = batch()
    low, high = np.maximum(x - eps, 0), np.minimum(x + eps, 1)
    convolution, hidden, _ = [layer for layer in net.layers if layer.weights]
    kernel = convolution.kernel.numpy()
    centre = tf.nn.conv2d((low + high) / 2, kernel, 1, "SAME").numpy() + convolution.bias.numpy()
    radius = tf.nn.conv2d((high - low) / 2, np.abs(kernel), 1, "SAME").numpy()
    first = centre - radius, centre + radius
    low, high = (np.maximum(end, 0).reshape(len(x), -1) for end in first)
    centre = (low + high) / 2 @ hidden.kernel.numpy() + hidden.bias.numpy()
    radius = (high - low) / 2 @ np.abs(hidden.kernel.numpy())
    return [first, (centre - radius, centre + radius)]


def test_l1_and_l2_are_norms_of_the_kernels() -> None:
    value, net = term(L1(0.5))
    kernels = [layer.kernel.numpy() for layer in net.layers if layer.weights]
    assert value == pytest.approx(0.5 * sum(np.abs(k).sum() for k in kernels), rel=1e-5)
    value, _ = term(L2(0.5))
    assert value == pytest.approx(0.25 * sum((k**2).sum() for k in kernels), rel=1e-5)


def test_relu_stability_sums_over_units_and_averages_over_examples() -> None:
    value, net = term(ReluStability(2.0))
    sums = [-np.tanh(1 + low * high).sum() for low, high in preactivations(net, 0.1)]
    assert value == pytest.approx(2.0 * sum(sums) / 6, rel=1e-4)


def test_relu_stability_steps_towards_stable_units() -> None:
    net = network()
    model = compiled(Objective(Linf(), regularisers=[ReluStability(1.0)]), net, eps=0.1)

    def unstable() -> float:
        return sum(-np.minimum(low * high, 0).sum() for low, high in preactivations(net, 0.1))

    before = unstable()
    model.optimizer.learning_rate.assign(0.01)
    for _ in range(20):
        step(model, batch())
    assert unstable() < 0.8 * before


def test_the_warm_up_regulariser_by_hand() -> None:
    value, net = term(WarmUp(0.5, target=0.2), eps=0.1)
    x, _ = batch()
    first = (np.minimum(x + 0.1, 1) - np.maximum(x - 0.1, 0)).mean() / 2
    total = 0.0
    for low, high in preactivations(net, 0.1):
        total += max(0.0, 0.5 - first / ((high - low).mean() / 2)) / 0.5
        centre = (low + high) / 2
        spread = (centre - centre.mean()) ** 2
        means = (centre * (low > 0)).mean(), -(centre * (high < 0)).mean()
        variances = (spread * (low > 0)).mean(), (spread * (high < 0)).mean()
        for pair in (means, variances):
            total += max(0.0, 0.5 - min(pair) / max(pair)) / 0.5
    assert value == pytest.approx(0.5 * (1 - 0.1 / 0.2) * total / 2, rel=1e-4)
    assert value > 0.01


def test_the_warm_up_regulariser_is_gone_at_the_target_and_finite_without_a_radius() -> None:
    assert term(WarmUp(0.5, target=0.1), eps=0.1)[0] == pytest.approx(0.0, abs=1e-7)
    assert term(WarmUp(0.5, target=0.1), eps=0.2)[0] == 0.0  # on the way down to it
    net, (x, y) = network(), batch()
    model = compiled(Objective(Linf(), regularisers=[WarmUp(0.5, target=0.1)]), net, eps=0.0)
    assert all(np.isfinite(gradient).all() for gradient in gradients(model, x, y))


def test_regularisers_read_the_bound_terms_own_bounds() -> None:
    """The dual network's bounds are tighter than intervals, and so are their regularisers."""
    loose, _ = term(ReluStability(1.0))
    tight, _ = term(ReluStability(1.0), bound=WorstCase(dual_bounds))
    assert tight != pytest.approx(loose, rel=1e-3)


# --- gradients


@pytest.mark.parametrize(
    "objective",
    [
        Objective(Linf(), Attacked(functools.partial(fgsm, step_size=1.25))),
        Objective(Linf(), Attacked(PGD), WorstCase(interval_bounds, ratio=0.4)),
        Objective(Linf(), Attacked(PGD), mixup=1.4),
        Objective(Linf(), Latent(1, 3)),
        Objective(BALL, Attacked(PGD)),
        Objective(BALL, Attacked(PGD), WorstCase(interval_bounds, ratio=0.4)),
        Objective(BALL, Attacked(PGD), mixup=1.4),
        Objective(UNION, Attacked(functools.partial(msd, steps=3))),
        Objective(UNION, Attacked(functools.partial(worst_part, steps=3))),
        Objective(UNION, EachPart(PGD)),
    ],
    ids=["fgsm", "sabr", "mixup", "colt", "l2", "sabr-l2", "mixup-l2", "msd", "worst", "each"],
)
def test_an_attack_is_a_constant_to_the_gradient(objective: Objective) -> None:
    """The gradient equals that of the loss at the attack's points as numbers.

    Steps by signs have no gradient, so that those on other balls are what this can catch.
    """
    net, (x, y) = network(), batch()
    model = compiled(objective, net, eps=0.05, kappa=1.0 if objective.bound else 0.0)
    computed = gradients(model, x, y)
    loss_at = LOSSES_AT_POINTS.get(type(objective.point), _loss_at_images)
    with tf.GradientTape() as tape:
        loss = loss_at(objective, model, x, y, tape)
    weights = net.trainable_variables
    assert sum(np.abs(gradient).sum() for gradient in computed) > 0.1
    agree(computed, _whole(tape.gradient(loss, weights), weights))


def _loss_at_images(objective, model, x, y, tape):  # type: ignore[no-untyped-def]
    with tape.stop_recording(), tf.GradientTape() as unused:
        point = tf.constant(model.outcome(x, y, unused).point.numpy())
    fixed = Attacked(lambda task, start: point)
    model.objective = Objective(objective.threat, fixed, objective.bound, mixup=objective.mixup)
    return model.outcome(x, y, tape).terms.loss


def _loss_at_parts(objective, model, x, y, tape):  # type: ignore[no-untyped-def]
    with tape.stop_recording():
        region = Region(objective.threat, x, model.eps.value)
        tasks = by_part(Task(model.wiring.lower(), region, y, model.draws(x, y).keys()))
        points = [objective.point.attack(task, starts.uniform(task)).numpy() for task in tasks]
    logits = [model.network(point) for point in points]
    losses = [
        keras.losses.sparse_categorical_crossentropy(y, at_point, True) for at_point in logits
    ]
    return tf.reduce_mean(losses)


def _loss_at_latent(objective, model, x, y, tape):  # type: ignore[no-untyped-def]
    graph, region = model.wiring.lower(), Region(Linf(), x, 0.05).inward()
    node = cut(graph, objective.point.layer)
    with tape.stop_recording():
        task = Task(graph, region, y, model.draws(x, y).keys())
        value = latent_attack(task, latent_region(graph, region, node), objective.point.steps).value
    logits = model.wiring.lower().split(node)(tf.constant(value.numpy()))
    losses = keras.losses.sparse_categorical_crossentropy(y, logits, from_logits=True)
    return tf.reduce_mean(losses)


LOSSES_AT_POINTS = {Latent: _loss_at_latent, EachPart: _loss_at_parts}


def test_the_worst_case_loss_of_the_dual_bound_matches_its_margins() -> None:
    net, (x, y) = network(), batch()
    model = compiled(Objective(Linf(), Clean(), WorstCase(dual_bounds)), net, eps=0.05, kappa=1.0)
    margins = dual_bounds(
        model.wiring.lower(), Region(Linf(), x, 0.05), margin_spec(y, CLASSES)
    ).margins
    expected = float(tf.reduce_mean(worst_case_loss(margins)))
    assert float(step(model, (x, y))["loss"]) == pytest.approx(expected, rel=1e-5)
