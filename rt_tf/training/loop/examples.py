"""The examples of a run, phase by phase, and their batches from any step on."""

from collections.abc import Iterator
from typing import Any

from rt_tf import data
from rt_tf.training.loop.cascade import CascadeMembers
from rt_tf.training.loop.state import LoopSettings, TrainingState
from rt_tf.training.phases import Phase


class OpenExamples:
    """The training and validation examples that no finished member of a cascade certifies.

    Without a cascade these are all. extra: further images that fill a share of every batch.
    """

    def __init__(
        self,
        train: data.Split,
        validation: data.Split,
        settings: LoopSettings,
        extra: data.Extra | None = None,
    ) -> None:
        self.all = {"train": train, "validation": validation}
        self.open = dict(self.all)
        self.settings = settings
        self.extra = extra

    @property
    def train(self) -> data.Split:
        """The training examples of the present phase."""
        return self.open["train"]

    @property
    def validation(self) -> data.Split:
        """The validation examples of the present phase."""
        return self.open["validation"]

    @property
    def steps_per_epoch(self) -> int:
        """The number of batches of the training examples; 0 where they fill none."""
        return data.steps(self.train, self.settings.batch_size, self.extra)

    @property
    def suffice(self) -> bool:
        """Whether there is a batch to train on and an example to validate with."""
        return self.steps_per_epoch > 0 and len(self.validation) > 0

    def enter(self, members: CascadeMembers, phase: int) -> None:
        """Opens the examples of a phase."""
        self.open = members.left_open(self.all, phase)

    def batches(
        self, position: TrainingState, phase: Phase, epochs: int, replicas: data.Replicas
    ) -> Iterator[Any]:
        """The datasets of a phase's epochs from a position on, each the rest of its epoch.

        replicas: those that read here.
        """
        done = position.step // phase.replays
        first = done // self.steps_per_epoch
        for epoch in range(first, epochs):
            yield data.batches(
                self.train,
                self.settings.batch_size,
                self.settings.seed,
                1000 * position.phase + epoch,
                skip=done - first * self.steps_per_epoch if epoch == first else 0,
                options=self.settings.augmentation,
                extra=self.extra,
                replicas=replicas,
            )
