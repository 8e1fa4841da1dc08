"""The objective against its formula, and training against plain Keras training."""

import functools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.attacks import noise, starts
from rt_tf.attacks.gradient.pgd import fgsm, pgd
from rt_tf.attacks.task import Task
from rt_tf.bounds.methods import crown_ibp_bounds, fused_bounds, interval_bounds
from rt_tf.bounds.result import margin_spec
from rt_tf.errors import UserError
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Attacked
from rt_tf.training.objectives.regularisers import L1, ReluStability, WarmUp
from rt_tf.training.objectives.worst_case import WorstCase, worst_case_loss
from tests.training.small import CLASSES, batch, compiled, cross_entropy, network, step


def test_worst_case_loss_is_the_cross_entropy_of_the_worst_case_logits() -> None:
    margins = tf.constant([[1.0, -2.0]])
    expected = np.log(1.0 + np.exp(-1.0) + np.exp(2.0))
    assert float(worst_case_loss(margins)[0]) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("method", [interval_bounds, crown_ibp_bounds])
@pytest.mark.parametrize("kappa", [0.0, 0.3, 1.0])
def test_loss_is_the_weighted_sum_of_point_and_bound(method, kappa: float) -> None:  # type: ignore[no-untyped-def]
    net, (x, y) = network(), batch()
    model = compiled(
        Objective(Linf(), bound=WorstCase(method), regularisers=[L1(0.01)]),
        net,
        eps=0.1,
        kappa=kappa,
    )
    point = cross_entropy(net(x), y)
    margins = method(
        model.wiring.lower(), Region(Linf(), x, 0.1), margin_spec(y, CLASSES)
    ).margins.numpy()
    worst = np.zeros((len(y), CLASSES))
    worst[:, 1:] = -margins
    bound = cross_entropy(worst, np.zeros(len(y), int))
    l1 = sum(float(tf.reduce_sum(tf.abs(layer.kernel))) for layer in net.layers if layer.weights)
    terms = step(model, (x, y))
    assert float(terms["point_loss"]) == pytest.approx(point, rel=1e-5)
    assert float(terms["bound_loss"]) == pytest.approx(bound, rel=1e-5)
    expected = (1.0 - kappa) * point + kappa * bound + 0.01 * l1
    assert float(terms["loss"]) == pytest.approx(expected, rel=1e-5)
    assert float(terms["bound_verified"]) == pytest.approx((margins > 0).all(1).mean())


def test_point_term_is_the_loss_at_the_attacked_point() -> None:
    net, (x, y) = network(), batch()
    objective = Objective(Linf(), Attacked(functools.partial(fgsm, step_size=1.0), starts.zero))
    model = compiled(objective, net, eps=0.05)
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = keras.losses.sparse_categorical_crossentropy(y, net(x), from_logits=True)
    point = tf.clip_by_value(x + 0.05 * tf.sign(tape.gradient(loss, x)), 0.0, 1.0)
    expected = cross_entropy(net(point), y)
    assert float(step(model, (x, y))["point_loss"]) == pytest.approx(expected, rel=1e-5)


def test_without_attack_and_bound_training_is_plain_keras_training() -> None:
    x, y = batch(32)
    ours, plain = network(batch_norm=True), network(batch_norm=True)
    plain.compile(
        keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    )
    model = compiled(Objective(Linf()), ours)
    model.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    plain.fit(x, y, batch_size=8, epochs=2, shuffle=False, verbose=0)
    for mine, theirs in zip(ours.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=1e-6)


def test_bound_samples_are_evenly_spaced_in_the_batch() -> None:
    net, (x, y) = network(), batch()
    few = compiled(
        Objective(Linf(), bound=WorstCase(interval_bounds, samples=2)), net, eps=0.1, kappa=1
    )
    expected = worst_case_loss(
        interval_bounds(
            few.wiring.lower(), Region(Linf(), x[::3], 0.1), margin_spec(y[::3], CLASSES)
        ).margins
    )
    bound = step(few, (x, y))["bound_loss"]
    assert float(bound) == pytest.approx(float(tf.reduce_mean(expected)), rel=1e-6)


def test_gradient_of_the_bound_term_reaches_every_weight_and_is_right() -> None:
    net, (x, y) = network(batch_norm=True), batch()
    model = compiled(Objective(Linf(), bound=WorstCase(interval_bounds)), net, eps=0.05, kappa=1.0)

    def loss() -> tuple[tf.Tensor, tf.GradientTape]:
        tape = tf.GradientTape()
        with tape:
            value = model.outcome(x, y, tape).terms.loss
        return value, tape

    value, tape = loss()
    gradients = tape.gradient(value, net.trainable_variables)
    for weight, gradient in zip(net.trainable_variables, gradients, strict=True):
        if weight is net.layers[1].bias:
            continue  # batch normalisation takes it out again: its gradient is zero
        assert float(tf.reduce_max(tf.abs(gradient))) > 0.0, weight.path
        direction = tf.sign(gradient)
        before = tf.identity(weight.value)
        step = 3e-4
        values = []
        for sign in (1.0, -1.0):
            weight.assign(before + sign * step * direction)
            values.append(float(loss()[0]))
        weight.assign(before)
        slope = (values[0] - values[1]) / (2 * step)
        assert slope == pytest.approx(float(tf.reduce_sum(tf.abs(gradient))), rel=0.05), weight.path


@pytest.mark.parametrize(
    "options",
    [{"point": Attacked(functools.partial(pgd, steps=3))}, {"bound": WorstCase(interval_bounds)}],
)
def test_batch_statistics_are_updated_once_a_step_by_the_clean_batch(options: dict) -> None:
    net, (x, y) = network(batch_norm=True), batch(8)
    kappa = 0.5 if "bound" in options else 0.0
    model = compiled(Objective(Linf(), **options), net, eps=0.3, kappa=kappa)
    values = net.layers[1](x)
    step(model, (x, y))
    layer = net.layers[2]
    expected = 0.01 * tf.reduce_mean(values, [0, 1, 2])
    np.testing.assert_allclose(layer.moving_mean, expected, rtol=1e-4, atol=1e-6)


def test_mixed_precision_keeps_the_bound_in_float32() -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        net = network()
    finally:
        keras.config.set_dtype_policy("float32")
    x, y = batch()
    model = RobustModel(net)
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=8.0)
    model.compile(
        optimizer,
        objective=Objective(
            Linf(), Attacked(functools.partial(pgd, steps=3)), WorstCase(interval_bounds)
        ),
    )
    model.eps.assign(0.1)
    model.kappa.assign(0.5)
    before = [weight.copy() for weight in net.get_weights()]
    spec = margin_spec(y, CLASSES)
    margins = interval_bounds(model.wiring.lower(), Region(Linf(), x, 0.1), spec).margins
    terms = step(model, (x, y))
    assert net(x).dtype == tf.float16
    assert margins.dtype == tf.float32
    expected = float(tf.reduce_mean(worst_case_loss(margins)))
    assert float(terms["bound_loss"]) == pytest.approx(expected, rel=1e-6)
    changes = [np.abs(a - b).max() for a, b in zip(net.get_weights(), before, strict=True)]
    assert min(changes) > 0.0


def test_a_bounds_own_loss_is_what_is_minimised() -> None:
    net, (x, y) = network(), batch()
    model = compiled(Objective(Linf(), bound=WorstCase(fused_bounds)), net, eps=0.1, kappa=1.0)
    region = Region(Linf(), x, 0.1)
    expected = fused_bounds(model.wiring.lower(), region, margin_spec(y, CLASSES)).loss
    assert float(step(model, (x, y))["loss"]) == pytest.approx(float(tf.reduce_mean(expected)))


def test_a_bound_that_draws_has_a_seed_of_each_step() -> None:
    net, (x, y) = network(), batch()
    seeds = []

    def bound(graph, region, spec, seed):  # type: ignore[no-untyped-def]
        seeds.append(tuple(np.asarray(seed).tolist()))
        return interval_bounds(graph, region, spec)

    for _ in range(2):
        model = compiled(Objective(Linf(), bound=WorstCase(bound, draws=True)), net, eps=0.1)
        for _ in range(3):
            step(model, (x, y))
    assert seeds[:3] == seeds[3:]
    assert len(set(seeds)) == 3


def test_a_previous_start_is_where_the_attack_on_the_batch_before_ended() -> None:
    net, (x, y) = network(), batch()
    model = compiled(Objective(Linf(), Attacked(fgsm, start=None)), net, eps=0.05)
    moves = tf.zeros_like(x)
    for images in (x, x[::-1], x):
        region = Region(Linf(), images, 0.05)
        task = Task(model.wiring.lower(), region, y, noise.keys(tf.constant([0]), y))
        start = region.inward().project(images + moves)
        moves = fgsm(task, start) - images
        expected = cross_entropy(net(images + moves), y)
        assert float(step(model, (images, y))["point_loss"]) == pytest.approx(expected)
        np.testing.assert_allclose(model.moves, moves, atol=1e-7)
    assert float(tf.reduce_max(tf.abs(moves))) > 0.04


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_gradients_are_clipped_in_units_of_the_loss_whatever_its_scale(policy: str) -> None:
    """Half precision multiplies the loss, so that no gradient is lost: not what they are cut to."""
    keras.config.set_dtype_policy(policy)
    try:
        net = network()
    finally:
        keras.config.set_dtype_policy("float32")
    optimizer: keras.optimizers.Optimizer = keras.optimizers.SGD(1.0)
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=1024.0)
    model, (x, y) = RobustModel(net), batch()
    model.compile(optimizer, objective=Objective(Linf()), eps=0.0, kappa=0.0, clip_norm=0.125)
    before = [weight.copy() for weight in net.get_weights()]
    with tf.GradientTape() as tape:
        loss = keras.losses.sparse_categorical_crossentropy(y, net(x), from_logits=True)
        mean = tf.reduce_mean(tf.cast(loss, tf.float32))
    gradients = [g.numpy() for g in tape.gradient(mean, net.trainable_variables)]
    norm = math.sqrt(sum(float((g.astype(np.float64) ** 2).sum()) for g in gradients))
    assert norm > 0.25
    model.train_step((x, y))
    for now, was, gradient in zip(net.get_weights(), before, gradients, strict=True):
        np.testing.assert_allclose(was - now, 0.125 / norm * gradient, rtol=0.02, atol=1e-4)


def test_a_point_term_that_counts_for_nothing_has_no_gradient() -> None:
    """At kappa = 1 the step is the same; statistics of the clean pass keep their gradient."""
    attacked = Attacked(functools.partial(pgd, steps=2), starts.zero)
    steps = []
    for bound_only in (False, True):
        net, (x, y) = network(batch_norm=True), batch()
        bound = WorstCase(interval_bounds, ratio=0.5)
        objective = Objective(Linf(), attacked, bound, bound_only=bound_only)
        model = compiled(objective, net, eps=0.1, kappa=1.0)
        steps.append([model.train_step((x, y)), net.get_weights()])
    (plain, weights), (alone, others) = steps
    for name, value in plain.items():
        assert float(alone[name]) == pytest.approx(float(value), rel=1e-6), name
    for mine, theirs in zip(weights, others, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-5, atol=1e-7)
    with tf.GradientTape(persistent=True) as tape:
        outcome = model.outcome(x, y, tape)
    bound_loss = outcome.terms.bound_loss
    ours, bounds = (
        tape.gradient(v, net.trainable_variables) for v in (outcome.terms.loss, bound_loss)
    )
    for mine, theirs in zip(ours, bounds, strict=True):
        np.testing.assert_array_equal(mine, theirs)


def test_an_objective_has_the_terms_that_it_adds_up() -> None:
    clean = {"loss", "point_loss", "point_accuracy"}
    assert set(Objective(Linf()).terms) == clean
    bounded = Objective(Linf(), bound=WorstCase(interval_bounds))
    assert set(bounded.terms) == clean | {"bound_loss", "bound_verified"}
    assert set(Objective(Linf(), regularisers=[L1(0.1)]).terms) == clean | {"penalty"}


def test_a_point_term_without_gradient_is_refused_where_it_counts() -> None:
    objective = Objective(Linf(), bound=WorstCase(interval_bounds), bound_only=True)
    model = RobustModel(network())
    model.compile(keras.optimizers.SGD(0.1), objective, eps=0.1, kappa=0.5)
    with pytest.raises(UserError, match=r"kappa: expected 1 with .*bound_only.*; received 0.5"):
        model.fit(*batch(), verbose=0)


def test_regularisers_of_activations_are_nothing_where_there_are_none() -> None:
    """Of a linear network; its loss is that of the objective without them."""
    x, labels = batch()
    losses = []
    for regularisers in ([], [WarmUp(0.5, 0.1), ReluStability(1.0)]):
        linear = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Flatten()])
        linear.add(keras.layers.Dense(CLASSES, kernel_initializer="ones"))
        model = RobustModel(linear)
        bound = WorstCase(interval_bounds)
        objective = Objective(Linf(), bound=bound, regularisers=regularisers)
        model.compile("sgd", objective, eps=0.05, kappa=0.5)
        losses.append(float(model.step(x, labels).loss))
    assert losses[0] == losses[1]
