"""Schedules and phases, by hand-computed values."""

import itertools

import numpy as np
import pytest

from rt_tf.errors import UserError
from rt_tf.training.loop.guard import good, overfits
from rt_tf.training.monitor import chance
from rt_tf.training.phases import Phase
from rt_tf.training.schedules import linear_ramp, piecewise, smooth_ramp, staircase


@pytest.mark.parametrize(
    ("position", "expected"), [(0, 1.0), (2, 1.0), (4, 2.0), (6, 3.0), (9, 3.0)]
)
def test_linear_ramp(position: float, expected: float) -> None:
    assert linear_ramp(position, start=1.0, end=3.0, begin=2.0, length=4.0) == expected


def test_a_ramp_without_length_is_a_jump() -> None:
    assert [linear_ramp(p, 0.0, 1.0, 2.0, 0.0) for p in (1.9, 2.0)] == [0.0, 1.0]


def test_smooth_ramp_is_continuous_and_quartic_at_first() -> None:
    ramp = [smooth_ramp(i / 1000, 0.0, 1.0, 0.0, 1.0) for i in range(1001)]
    assert ramp[0] == 0.0
    assert ramp[-1] == pytest.approx(1.0)
    steps = [b - a for a, b in itertools.pairwise(ramp)]
    assert min(steps) >= 0.0
    assert max(steps) < 1.0 / 800  # no jump where quartic and line meet
    assert ramp[200] / ramp[100] == pytest.approx(2.0**4)
    assert steps[251] == pytest.approx(steps[999])  # a line from there on


def test_piecewise() -> None:
    values = [piecewise(epoch, 10, 1.0, (5, 8), 0.1) for epoch in (0, 4.9, 5, 8)]
    assert values == pytest.approx([1.0, 1.0, 0.1, 0.01])


def test_phase_values() -> None:
    phase = Phase(
        epochs=10,
        bound="interval",
        kappa=0.5,
        kappa_ramp_epochs=2,
        eps=0.1,
        eps_ramp_epochs=4,
        warmup_epochs=1,
        decay_epochs=(8,),
        decay_factor=0.5,
        learning_rate=1.0,
    )
    assert phase.values(0.5) == (0.0, 0.0, 1.0)
    assert phase.values(2) == pytest.approx((0.025, 0.25, 1.0))
    assert phase.values(9) == (0.1, 0.5, 0.5)
    assert phase.ramped == 5.0


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kappa": 0.5}, "without a bound"),
        ({"bound": "interval"}, "compute the bound and ignore it"),
        ({"bound": "interval", "kappa": 1.0, "eps_ramp_epochs": 9.0}, "within the phase's 5"),
        ({"bound_samples": 3}, "bound_samples: expected 0 in a phase without a bound"),
        ({"mixup": 1.0, "attack": "pgd", "attack_loss": "margin"}, "mixup: expected 0"),
        ({"warmup_regularizer": 0.5}, "or --epsilon_ramp_epochs over which it fades"),
    ],
)
def test_phases_that_cannot_do_what_they_say_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Phase(epochs=5, **settings).check()


def rates(decay: str, epochs: float, at: tuple[float, ...], points: list[float]) -> list[float]:
    phase = Phase(epochs=epochs, learning_rate=0.1, decay=decay, decay_epochs=at, decay_factor=0.1)
    phase.check()
    return [phase.values(point).learning_rate for point in points]


def test_the_five_decays_of_the_thesis() -> None:
    """Section 4.3.2: its own settings, at epochs where the rate is known."""
    assert rates("piecewise", 200, (100, 150), [0, 99, 100, 150]) == pytest.approx(
        [0.1, 0.1, 0.01, 0.001]
    )
    steps = tuple(range(50, 500, 50))
    assert rates("multiple", 500, steps, [0, 50, 249, 250, 499]) == pytest.approx(
        [0.1, 0.09, 0.06, 0.05, 0.01]
    )
    assert rates("linear", 200, (100, 150), [50, 100, 125, 150, 199]) == pytest.approx(
        [0.1, 0.1, 0.055, 0.01, 0.01]
    )
    assert rates("cyclic", 200, (80,), [0, 40, 80, 140, 200]) == pytest.approx(
        [0.0, 0.05, 0.1, 0.05, 0.0]
    )
    assert rates("cosine", 200, (), [0, 100, 200]) == pytest.approx([0.1, 0.05, 0.0])


@pytest.mark.parametrize(
    ("decay", "at", "words"),
    [
        ("linear", (5,), "expected two epochs, growing, within the phase's 10"),
        ("cyclic", (12,), "expected one epoch, .*received 12"),
        ("cosine", (5,), "expected no epochs"),
        ("multiple", (), "expected at least one epoch, .*received none"),
        ("piecewise", (6, 5), "growing"),
    ],
)
def test_epochs_that_do_not_drive_a_decay_are_refused(
    decay: str, at: tuple[float, ...], words: str
) -> None:
    with pytest.raises(UserError, match=words):
        Phase(epochs=10, decay=decay, decay_epochs=at).check()


def test_adaptive_kappa_follows_the_accuracy() -> None:
    """Up while accuracy does not fall; down where it fell to below the target; else as it was."""

    def kappa(*accuracies: float) -> float:
        return staircase(accuracies, start=0.4, end=0.8, step=0.05, target=0.7, chance=0.12)

    assert kappa() == 0.4
    assert kappa(0.5) == pytest.approx(0.45)
    assert kappa(0.5, 0.6) == pytest.approx(0.5)
    assert kappa(0.5, 0.6, 0.55) == pytest.approx(0.45)  # fell, below the target
    assert kappa(0.5, 0.9, 0.8) == pytest.approx(0.5)  # fell, above it
    assert kappa(*[0.9] * 20) == 0.8
    assert kappa(*[0.6 - 0.01 * i for i in range(30)]) == 0.0


def test_adaptive_kappa_moves_only_above_chance() -> None:
    def kappa(*accuracies: float) -> float:
        return staircase(accuracies, start=0.4, end=0.8, step=0.05, target=0.7, chance=0.12)

    assert kappa(0.09, 0.1, 0.11, 0.12, 0.1, 0.08) == 0.4
    assert kappa(0.1, 0.1, 0.2) == pytest.approx(0.45)
    assert kappa(0.1, 0.3, 0.1, 0.2) == pytest.approx(0.4)  # .2 is compared with .3


def test_chance_is_what_one_label_reaches() -> None:
    labels = np.repeat(np.arange(4), [30, 40, 20, 10])
    assert chance(labels) == pytest.approx(0.4 + 2 * (0.4 * 0.6 / 100) ** 0.5)
    draw = np.random.default_rng(0)
    truth = np.repeat(np.arange(10), 100)
    blind = [float((draw.permutation(truth) == truth).mean()) for _ in range(200)]
    above = sum(share > chance(truth) for share in blind)
    assert above <= 0.05 * 200


def test_a_phase_with_adaptive_kappa_reads_the_accuracies() -> None:
    phase = Phase(
        epochs=10, bound="interval", kappa=0.8, kappa_from=0.4, kappa_step=0.1, kappa_target=0.7
    )
    phase.check()
    assert phase.values(7.0, [0.5, 0.6]).kappa == pytest.approx(0.6)
    assert phase.values(7.0, [0.5, 0.6], chance=0.55).kappa == pytest.approx(0.5)


def test_overfitting_is_a_sudden_loss_of_attacked_accuracy() -> None:
    assert not overfits(0.4, [], trained=0.5, drop=0.5)
    assert not overfits(0.3, [0.4, 0.5], trained=0.5, drop=0.5)
    assert overfits(0.2, [0.4, 0.5], trained=0.5, drop=0.5)
    assert overfits(0.24, [0.4, 0.5], trained=0.5, drop=0.5)
    assert overfits(0.3, [0.4, 0.5], trained=0.5, drop=0.3)


def test_overfitting_at_a_new_radius_is_accuracy_at_the_points_of_training_alone() -> None:
    assert overfits(0.19, [], trained=0.8, drop=0.5)
    assert not overfits(0.21, [], trained=0.8, drop=0.5)
    assert not overfits(0.0, [], trained=0.5, drop=0.5)  # it has not learnt yet
    assert overfits(0.0, [0.0], trained=0.8, drop=0.5)  # broken when first seen


def test_weights_between_good_and_broken_are_not_kept() -> None:
    assert good(0.4, [], trained=0.8, drop=0.5)
    assert not good(0.39, [], trained=0.8, drop=0.5)
    assert not good(0.39, [0.8], trained=0.1, drop=0.5)
    assert not overfits(0.39, [], trained=0.8, drop=0.5)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"latent_layer": 2}, "latent_layer: .* received 2 with --attack=none"),
        ({"replays": 4, "attack": "fgsm"}, "replays: .* received 4 with --attack=fgsm"),
        ({"trades_beta": 1.0}, "trades_beta: expected 0, or an attack"),
        ({"trades_beta": 1.0, "attack": "pgd", "attack_loss": "dlr"}, "trades_beta"),
        ({"attack": "free", "attack_loss": "margin"}, "attack_loss: expected ce"),
        ({"attack": "latent", "bound": "interval", "kappa": 1.0}, "received latent with --bound"),
        ({"bound": "interval", "kappa": 1.0, "bound_ratio": 0.4}, "bound_ratio: expected 1, or"),
        ({"bound_ratio": 0.4, "attack": "pgd"}, "--attack=pgd and --bound=none"),
        ({"mixup": 1.0, "bound": "interval", "kappa": 1.0}, "mixup: expected 0"),
        ({"mixup": 1.0, "attack": "adaptive"}, "mixup: expected 0"),
        ({"kappa_step": 0.1, "bound": "interval", "kappa": 0.4, "kappa_from": 0.4}, "kappa_step"),
        ({"attack": "each", "attack_start": "previous"}, "attack_start"),
        ({"attack": "free", "attack_start": "zero"}, "expected uniform, .* --attack=free"),
        ({"attack": "latent", "attack_start": "zero"}, "a start of its own; received zero"),
        ({"attack": "free", "attack_step_size": 0.5}, "attack_step_size: expected 0"),
    ],
)
def test_systems_that_do_not_fit_together_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Phase(epochs=5, **settings).check()
