"""Phases: stretches of training with their objective, their schedules and their end."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from rt_tf.catalogue.training import DECAYS, POINT_TERMS
from rt_tf.errors import UserError
from rt_tf.training.schedules import RAMPS, RATES, fits, staircase

NO_POINTS = ("none", "latent")  # attacks that lead to no point of the input region


class Values(NamedTuple):
    """The values of the schedules at one step."""

    eps: float
    kappa: float
    learning_rate: float


@dataclasses.dataclass(frozen=True)
class Phase:
    """The settings of one phase. Lengths are in epochs, radii in pixel units of [0, 1].

    clock: 'run' counts epochs and decays from the beginning of the run, so that a phase which ends
    early leaves the next one more of them; ramps begin with their phase. replays: steps on every
    batch. new_member: the phase begins another network of a cascade, trained on what the networks
    before do not certify.
    """

    epochs: int
    until: str = "epochs"
    clock: str = "phase"
    replays: int = 1
    attack: str = "none"
    attack_steps: int = 10
    attack_step_size: float = 0.0
    attack_start: str = "uniform"
    attack_loss: str = "ce"
    trades_beta: float = 0.0
    latent_layer: int = 0
    bound: str = "none"
    bound_samples: int = 0
    bound_ratio: float = 1.0
    kappa: float = 0.0
    kappa_from: float = 0.0
    kappa_ramp_epochs: float = 0.0
    kappa_step: float = 0.0
    kappa_every: int = 5
    kappa_target: float = 0.0
    eps: float = 0.0
    eps_from: float = 0.0
    eps_ramp_epochs: float = 0.0
    warmup_epochs: float = 0.0
    ramp: str = "linear"
    learning_rate: float = 1e-3
    decay: str = "piecewise"
    decay_epochs: tuple[float, ...] = ()
    decay_factor: float = 0.2
    l1: float = 0.0
    l2: float = 0.0
    relu_stability: float = 0.0
    warmup_regularizer: float = 0.0
    mixup: float = 0.0
    reset_optimizer: bool = True
    new_member: bool = False

    def values(
        self,
        epoch: float,
        accuracies: Sequence[float] = (),
        begun: float = 0.0,
        chance: float = 0.0,
    ) -> Values:
        """The scheduled values at an epoch of this phase, fractions included.

        accuracies: on the validation split, at the end of every `kappa_every` epochs so far. begun:
        epochs on the phase's clock before its first epoch. chance: the accuracy that guessing may
        reach.
        """
        ramp, begin = RAMPS[self.ramp], self.warmup_epochs
        rate = RATES[self.decay]
        return Values(
            ramp(epoch, self.eps_from, self.eps, begin, self.eps_ramp_epochs),
            self._adapted(accuracies, chance)
            if self.kappa_step
            else ramp(epoch, self.kappa_from, self.kappa, begin, self.kappa_ramp_epochs),
            rate(
                begun + epoch, self.epochs, self.learning_rate, self.decay_epochs, self.decay_factor
            ),
        )

    def _adapted(self, accuracies: Sequence[float], chance: float) -> float:
        start, end = self.kappa_from, self.kappa
        return staircase(accuracies, start, end, self.kappa_step, self.kappa_target, chance)

    @property
    def ramped(self) -> float:
        """The epoch from which eps and kappa have their final values."""
        return self.warmup_epochs + max(self.eps_ramp_epochs, self.kappa_ramp_epochs)

    @property
    def _has_own_term(self) -> bool:
        """Whether the point term is not the loss at one attacked point."""
        return self.attack == "none" or self.attack in POINT_TERMS

    def check(self) -> None:
        """Raises UserError for a combination of settings that contradict each other."""
        self._check_weights()
        self._check_attack()
        self._check_start()
        self._check_schedules()

    def _check_weights(self) -> None:
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
        if self.kappa_step and (self.kappa_ramp_epochs or not self.kappa_from < self.kappa):
            raise UserError(
                "kappa_step: expected --kappa_from below --kappa, its greatest value, and no "
                f"--kappa_ramp_epochs; received {self.kappa_from:g}, {self.kappa:g} and "
                f"{self.kappa_ramp_epochs:g}"
            )
        if self.bound == "none" and self.bound_samples:
            raise UserError(
                f"bound_samples: expected 0 in a phase without a bound (--bound=none); "
                f"received {self.bound_samples}"
            )
        if self.warmup_regularizer and not self.eps_ramp_epochs:
            raise UserError(
                "warmup_regularizer: expected 0, or --epsilon_ramp_epochs over which it fades; "
                f"received {self.warmup_regularizer:g}"
            )
        if self.bound_ratio < 1.0 and (self.bound == "none" or self.attack in NO_POINTS):
            raise UserError(
                "bound_ratio: expected 1, or an attack that places the smaller region and a bound "
                f"on it; received {self.bound_ratio:g} with --attack={self.attack} and "
                f"--bound={self.bound}"
            )

    def _check_attack(self) -> None:
        if self.latent_layer and self.attack != "latent":
            raise UserError(
                f"latent_layer: expected 0, or --attack=latent; received {self.latent_layer} with "
                f"--attack={self.attack}"
            )
        if self.attack == "latent" and self.bound != "none":
            raise UserError(
                "attack: expected an attack on images in a phase with a bound; received latent "
                f"with --bound={self.bound}"
            )
        if self.replays > 1 and self.attack != "free":
            raise UserError(
                f"replays: expected 1, or --attack=free; received {self.replays} with "
                f"--attack={self.attack}"
            )
        if self.trades_beta and (self._has_own_term or self.attack_loss != "ce"):
            raise UserError(
                "trades_beta: expected 0, or an attack on images without an --attack_loss of its "
                f"own; received {self.trades_beta:g} with --attack={self.attack} and "
                f"--attack_loss={self.attack_loss}"
            )
        if self.attack != "none" and self._has_own_term and self.attack_loss != "ce":
            raise UserError(
                f"attack_loss: expected ce with --attack={self.attack}; received {self.attack_loss}"
            )
        unmixed = self.attack == "adaptive" or self.attack_loss != "ce" or self.bound != "none"
        if self.mixup and unmixed:
            raise UserError(
                "mixup: expected 0, or a phase without a bound, --attack=adaptive and another "
                f"--attack_loss than ce; received {self.mixup:g} with --attack={self.attack}, "
                f"--attack_loss={self.attack_loss} and --bound={self.bound}"
            )

    def _check_start(self) -> None:
        if self.attack == "each" and self.attack_start == "previous":
            raise UserError(
                "attack_start: expected another one with --attack=each, which has a point in each "
                "part; received previous"
            )
        if self.attack in ("free", "latent") and self.attack_start != "uniform":
            raise UserError(
                f"attack_start: expected uniform, the default, with --attack={self.attack}, which "
                f"has a start of its own; received {self.attack_start}"
            )
        if self.attack == "free" and self.attack_step_size:
            raise UserError(
                "attack_step_size: expected 0 with --attack=free, whose steps are of eps; "
                f"received {self.attack_step_size:g}"
            )

    def _check_schedules(self) -> None:
        if self.ramped > self.epochs:
            raise UserError(
                f"ramps: expected warm-up and ramps to end within the phase's {self.epochs} "
                f"epochs; received {self.ramped:g} epochs"
            )
        if not fits(self.decay, self.decay_epochs, self.epochs):
            raise UserError(
                f"decay_epochs: expected {DECAYS[self.decay].driven_by}, growing, within the "
                f"phase's {self.epochs}, with --decay={self.decay}; received "
                f"{':'.join(f'{epoch:g}' for epoch in self.decay_epochs) or 'none'}"
            )


def own_epochs(phases: Sequence[Phase]) -> list[int]:
    """The number of epochs that each phase has if none ends early."""
    counts, begun = [], 0
    for phase in phases:
        begun = 0 if phase.new_member else begun
        counts.append(phase.epochs - (begun if phase.clock == "run" else 0))
        begun += counts[-1]
    return counts
