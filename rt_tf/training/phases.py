"""Phases: what a stretch of training optimises, with which schedules, and when it ends."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from rt_tf.errors import UserError
from rt_tf.training.schedules import RAMPS, step_decay


class Values(NamedTuple):
    """What the schedules say at one step."""

    eps: float
    kappa: float
    learning_rate: float


@dataclasses.dataclass(frozen=True)
class Phase:
    """The settings of one phase. Lengths are in epochs, radii in pixel units of [0, 1]."""

    epochs: int
    until: str = "epochs"
    attack: str = "none"
    attack_steps: int = 10
    attack_step_size: float = 0.0
    attack_start: str = "uniform"
    attack_loss: str = "ce"
    bound: str = "none"
    bound_samples: int = 0
    kappa: float = 0.0
    kappa_from: float = 0.0
    kappa_ramp_epochs: float = 0.0
    eps: float = 0.0
    eps_from: float = 0.0
    eps_ramp_epochs: float = 0.0
    warmup_epochs: float = 0.0
    ramp: str = "linear"
    learning_rate: float = 1e-3
    decay_epochs: tuple[float, ...] = ()
    decay_factor: float = 0.2
    l1: float = 0.0
    reset_optimizer: bool = True

    def values(self, epoch: float) -> Values:
        """The scheduled values at an epoch of this phase, fractions included."""
        ramp, begin = RAMPS[self.ramp], self.warmup_epochs
        return Values(
            ramp(epoch, self.eps_from, self.eps, begin, self.eps_ramp_epochs),
            ramp(epoch, self.kappa_from, self.kappa, begin, self.kappa_ramp_epochs),
            step_decay(epoch, self.learning_rate, self.decay_epochs, self.decay_factor),
        )

    @property
    def ramped(self) -> float:
        """The epoch from which eps and kappa have their final values."""
        return self.warmup_epochs + max(self.eps_ramp_epochs, self.kappa_ramp_epochs)

    def check(self) -> None:
        """UserError for a combination that cannot do what it says."""
        if self.bound == "none" and max(self.kappa, self.kappa_from) > 0.0:
            raise UserError(
                f"kappa: expected 0 in a phase without a bound (--bound=none); "
                f"received {max(self.kappa, self.kappa_from):g}; name a bound, or set kappa to 0"
            )
        if self.bound != "none" and self.kappa == 0.0 == self.kappa_from:
            raise UserError(
                f"kappa: expected > 0 in a phase with --bound={self.bound}; received 0, "
                "which would compute the bound and ignore it"
            )
        if self.ramped > self.epochs:
            raise UserError(
                f"ramps: expected warm-up and ramps to end within the phase's {self.epochs} "
                f"epochs; received {self.ramped:g} epochs"
            )


def stable(losses: Sequence[float], tolerance: float, smoothing: float = 0.7) -> bool:
    """Whether a smoothed loss has stopped changing: |m_t - m_(t-1)| < tolerance * m_(t-1).

    losses: one per epoch. Our rule for "the loss stabilises" (Gupta et al., DAT).
    """
    if len(losses) < 3:
        return False
    smoothed = [losses[0]]
    for loss in losses[1:]:
        smoothed.append(smoothing * smoothed[-1] + (1.0 - smoothing) * loss)
    before, now = smoothed[-2:]
    return abs(now - before) < tolerance * abs(before)
