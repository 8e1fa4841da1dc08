"""A phase's time: its steps and epochs, by the phase's clock or the run's, and its end."""

import dataclasses
import math

from rt_tf.training.loop.stability import Trend, stable, trend
from rt_tf.training.loop.state import TrainingState
from rt_tf.training.phases import Phase, Values

LOOKS = 10  # times that the guard looks within an early epoch


@dataclasses.dataclass(frozen=True)
class Clock:
    """The place of a position within its phase.

    batches: of an epoch of the present examples. chance: the accuracy on the present validation
    examples that guessing may reach.
    """

    phase: Phase
    position: TrainingState
    batches: int
    chance: float = 0.0

    @property
    def steps(self) -> int:
        """The steps of an epoch, replays included."""
        return self.batches * self.phase.replays

    @property
    def epoch(self) -> int:
        """The number of epochs of this phase, the present one included if it has begun."""
        return math.ceil(self.position.step / self.steps)

    @property
    def means(self) -> dict[str, float]:
        """The means of the terms over the steps of the present epoch, up to the last one."""
        count = (self.position.step - 1) % self.steps + 1
        return {name: total / count for name, total in self.position.epoch_sums.items()}

    @property
    def epochs(self) -> int:
        """The number of epochs that the phase has at most."""
        return self.phase.epochs - self._begun

    @property
    def ramped(self) -> bool:
        """Whether eps and kappa have their final values."""
        return self.epoch >= self.phase.ramped

    @property
    def at_full_radius(self) -> bool:
        """Whether the last step was taken after the ramps."""
        return self.position.step - 1 >= self.phase.ramped * self.steps

    @property
    def settled(self) -> list[float]:
        """The losses of the epochs after the ramps, which move the loss themselves."""
        return self.position.epoch_losses[math.ceil(self.phase.ramped) :]

    @property
    def trend(self) -> Trend | None:
        """The trend of the losses after the ramps."""
        return trend(self.settled)

    def values(self) -> Values:
        """The scheduled values of the next step."""
        here = [row for row in self.position.history if row["phase"] == self.position.phase]
        every = self.phase.kappa_every
        accuracies = [row["validation"]["clean"] for row in here if row["epoch"] % every == 0]
        epoch = self.position.step / self.steps
        return self.phase.values(epoch, accuracies, self._begun, self.chance)

    def at_epochs_end(self) -> bool:
        """Whether the last step ended an epoch."""
        return self.position.step % self.steps == 0

    def guarded(self) -> bool:
        """Whether the guard looks after the last step: after every epoch, and within early ones.

        Early are the epochs of the ramps, or the first: good weights do not last long there.
        """
        within = self.position.step % max(self.steps // LOOKS, 1) == 0
        early = self.position.step < max(self.phase.ramped, 1.0) * self.steps
        return self.phase.until == "overfit" and (self.at_epochs_end() or (early and within))

    def over(self, stable_tolerance: float) -> bool:
        """Whether the phase ends here."""
        if self.position.alarm:
            return True
        if not self.at_epochs_end():
            return False
        if self.epoch >= self.epochs:
            return True
        return self.phase.until == "stable" and stable(self.settled, stable_tolerance)

    @property
    def _begun(self) -> int:
        return self.position.begun if self.phase.clock == "run" else 0
