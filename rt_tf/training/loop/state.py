"""The state of a training run, its settings apart from the phases, and the watcher's interface."""

import dataclasses
from collections.abc import Sequence
from typing import Any, Protocol

from rt_tf.data import AugmentationOptions
from rt_tf.training.monitor import Monitor
from rt_tf.training.phases import Values


@dataclasses.dataclass(frozen=True)
class LoopSettings:
    """The settings of training apart from the phases.

    class_weights: of the examples of each class in the loss, [classes]; none for one each.
    """

    batch_size: int
    seed: int = 0
    select_by: str = "last"
    monitor_every: int = 1
    monitor_samples: int = 1000
    checkpoint_seconds: float = 30.0
    jit_compile: bool = False
    clip_norm: float = 0.0
    stable_tolerance: float = 0.5
    augmentation: AugmentationOptions = dataclasses.field(default_factory=AugmentationOptions)
    class_weights: tuple[float, ...] = ()


@dataclasses.dataclass
class TrainingState:
    """The position of a training run, saved with every checkpoint.

    step: within the phase. begun: epochs of the run before the phase. seconds, cpu_seconds: of
    training so far. epoch_losses: of the phase's epochs. guarded: attacked accuracies at the
    phase's own radius, guard_accuracy: the last one at any radius, alarm: whether it ends the
    phase; all of the guard's looks. best, selected: of the present member of a cascade. history: a
    row for every evaluation.
    """

    phase: int = 0
    step: int = 0
    begun: int = 0
    total_steps: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    epoch_losses: list[float] = dataclasses.field(default_factory=list)
    epoch_sums: dict[str, float] = dataclasses.field(default_factory=dict)
    guarded: list[float] = dataclasses.field(default_factory=list)
    guard_accuracy: float | None = None
    alarm: bool = False
    best: list[float] = dataclasses.field(default_factory=list)
    selected: dict[str, Any] = dataclasses.field(default_factory=dict)
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def next_phase(self, epochs: int) -> None:
        """Moves to the next phase, `epochs` epochs after the beginning of this one."""
        self.phase += 1
        self.begun += epochs
        self.step, self.epoch_losses = 0, []
        self.guarded, self.guard_accuracy, self.alarm = [], None, False


class Watcher(Protocol):
    """The receiver of a run's events."""

    def on_resume(self, position: TrainingState, notices: Sequence[str]) -> None: ...

    def on_step(self, position: TrainingState, values: Values, terms: dict[str, float]) -> None: ...

    def on_epoch(self, position: TrainingState, row: dict[str, Any], monitor: Monitor) -> None: ...
