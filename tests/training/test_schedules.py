"""Schedules and phases, by hand-computed values."""

import itertools

import pytest

from rt_tf.errors import UserError
from rt_tf.training.phases import Phase, stable
from rt_tf.training.schedules import linear_ramp, piecewise, smooth_ramp


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
    ],
)
def test_phases_that_cannot_do_what_they_say_are_refused(settings: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        Phase(epochs=5, **settings).check()


def test_stable() -> None:
    assert not stable([1.0, 1.0], 0.01)
    assert stable([1.0, 1.0, 1.0], 0.01)
    assert not stable([1.0, 0.5, 0.25, 0.12], 0.01)
    assert stable([1.0, *[0.5] * 20], 0.01)
