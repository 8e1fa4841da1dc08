"""Stability of losses: lines by hand, and losses of trainings that were recorded."""

import json

import numpy as np
import pytest

from benchmarks import loss_curves
from benchmarks.loss_curves import switch
from rt_tf.training.loop.stability import stable, trend


def flat(deviation: float, seed: int = 0, count: int = 150) -> list[float]:
    """2.3, then .5 with a noise."""
    noise = np.random.default_rng(seed).normal(0.0, deviation, count)
    return [2.3, *(0.5 + noise).tolist()]


def test_a_line_and_its_noise_by_hand() -> None:
    """Of the last three epochs: 4, 3, 3 about a line of slope -1/2, residuals 1/6, -1/3, 1/6."""
    noise = (1 / 36 + 1 / 9 + 1 / 36) ** 0.5  # one degree of freedom
    losses = [8.0, 6.0, 4.0, 3.0, 3.0]
    assert trend(losses) == pytest.approx((0.5, noise / 2**0.5, noise))
    edge = (0.5 + 2 * noise / 2**0.5) / noise
    assert stable(losses, 1.001 * edge)
    assert not stable(losses, 0.999 * edge)


def test_fewer_than_five_epochs_have_no_trend() -> None:
    assert trend([0.5] * 4) is None
    assert not stable([0.5] * 4, 1e9)


@pytest.mark.parametrize("height", [0.6, 2.3, 100.0, 1e6])
def test_a_fall_before_the_last_half_is_no_change(height: float) -> None:
    """To a running mean it is: that goes on changing for epochs after it, the higher the longer."""
    assert stable([height, 0.5, 0.5, 0.5, 0.5], 0.0)
    assert not stable([height, height, 0.7, 0.6, 0.5], 10.0)


def test_a_flat_loss_is_stable_once_there_is_no_doubt() -> None:
    """The smaller the tolerance, the later: few noisy epochs prove nothing."""

    def epochs(tolerance: float) -> float:
        switches = [switch(flat(0.01, seed), tolerance) for seed in range(40)]
        assert None not in switches
        return float(np.mean(switches))

    means = [epochs(tolerance) for tolerance in (2.0, 0.5, 0.2, 0.1)]
    assert 5.0 < means[0] < means[1] - 1.0 < means[2] - 3.0 < means[3] - 5.0


def test_units_of_the_loss_do_not_matter() -> None:
    losses = json.loads(loss_curves.RESULTS.read_text())["cifar10"]
    scaled = [3.0 + 1e-3 * loss for loss in losses]
    assert switch(scaled, 0.5) == switch(losses, 0.5)


def test_a_slope_that_noise_does_not_hide_is_not_stable() -> None:
    steady = [2.3 - 0.01 * epoch for epoch in range(150)]
    assert switch(steady, 10.0) is None
    noise = np.random.default_rng(0).normal(0.0, 0.01, 150)
    assert switch((np.array(steady) + noise).tolist(), 0.5) is None
    assert switch((np.array(steady) + 10.0 * noise).tolist(), 0.5) is not None


def test_recorded_losses_switch_at_about_half_as_the_published_times_do() -> None:
    kept = json.loads(loss_curves.RESULTS.read_text())
    assert set(kept) == set(loss_curves.CURVES)
    for name in ("digits_fc", "digits_cnn", "cifar10"):
        epoch = switch(kept[name], 0.5)
        assert epoch is not None
        assert 0.4 < epoch / len(kept[name]) < 0.6, name
    for losses in kept.values():
        epochs = [switch(losses, tolerance) or 1000 for tolerance in (2.0, 1.0, 0.5, 0.3)]
        assert epochs == sorted(epochs)
        assert len(set(epochs)) >= 3  # where it is depends on the tolerance


def test_the_table_of_the_documentation_is_that_of_the_recorded_losses() -> None:
    kept = json.loads(loss_curves.RESULTS.read_text())
    documentation = (loss_curves.RESULTS.parents[2] / "docs" / "systems.md").read_text()
    assert loss_curves.table(kept) in documentation


def test_what_a_switch_saves() -> None:
    """The authors' 46.9 % of 155 epochs at 10 steps: after 80 of them."""
    assert loss_curves.saved(80, 155, steps=10) == pytest.approx(0.469, abs=1e-3)
