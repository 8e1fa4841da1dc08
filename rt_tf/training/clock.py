"""A phase's time: its steps and epochs, by its own clock or the run's."""

import dataclasses
import math

from rt_tf.training.phases import Phase, Values, stable
from rt_tf.training.position import Position


@dataclasses.dataclass(frozen=True)
class Clock:
    """Where a position stands in its phase. batches: of an epoch of the present examples."""

    phase: Phase
    position: Position
    batches: int

    @property
    def steps(self) -> int:
        """Of an epoch, replays included."""
        return self.batches * self.phase.replays

    @property
    def epoch(self) -> int:
        """Whole epochs of this phase."""
        return self.position.step // self.steps

    @property
    def epochs(self) -> int:
        """How many epochs the phase has at most."""
        return self.phase.epochs - self._begun

    @property
    def ramped(self) -> bool:
        """Whether eps and kappa have their final values."""
        return self.epoch >= self.phase.ramped

    @property
    def settled(self) -> list[float]:
        """The losses of the epochs after the ramps, which move the loss themselves."""
        return self.position.epoch_losses[math.ceil(self.phase.ramped) :]

    def values(self) -> Values:
        """The scheduled values of the next step."""
        here = [row for row in self.position.history if row["phase"] == self.position.phase]
        every = self.phase.kappa_every
        accuracies = [row["validation"]["clean"] for row in here if row["epoch"] % every == 0]
        return self.phase.values(self.position.step / self.steps, accuracies, self._begun)

    def at_epochs_end(self) -> bool:
        """Whether the last step ended an epoch."""
        return self.position.step % self.steps == 0

    def over(self, stable_tolerance: float, alarm: bool) -> bool:
        """Whether the phase ends here. alarm: it overfits."""
        if not self.at_epochs_end():
            return False
        if self.epoch >= self.epochs:
            return True
        if self.phase.until == "stable":
            return stable(self.settled, stable_tolerance)
        return self.phase.until == "overfit" and alarm

    @property
    def _begun(self) -> int:
        return self.position.begun if self.phase.clock == "run" else 0
