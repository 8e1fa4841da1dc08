"""Callbacks for `RobustModel.fit`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from rt_tf.errors import UserError
from rt_tf.training.schedules import RAMPS


@dataclasses.dataclass(frozen=True)
class Ramp:
    """A value that grows, or falls, from `start` to `end` over so many epochs.

    after: epochs at `start` before it moves. form: a name in `rt_tf.training.schedules.RAMPS`.
    UserError for another form, and for negative lengths.
    """

    start: float
    end: float
    epochs: float
    after: float = 0.0
    form: str = "linear"

    def __post_init__(self) -> None:
        if self.form not in RAMPS:
            raise UserError(f"form: expected one of {', '.join(RAMPS)}; received '{self.form}'")
        if min(self.epochs, self.after) < 0:
            raise UserError(
                f"epochs, after: expected at least 0; received {self.epochs:g} and {self.after:g}"
            )

    def __call__(self, epoch: float) -> float:
        """The value at an epoch, fractions included."""
        return RAMPS[self.form](epoch, self.start, self.end, self.after, self.epochs)


Course = float | Callable[[float], float]  # a value, or a function of the epoch and its fraction


class Schedule(keras.callbacks.Callback):
    """Sets a model's eps and kappa before every step, and writes them to the epoch's logs.

    eps, kappa: a number, a `Ramp`, or any function of the epoch, fractions included; None leaves
    kappa as it is. With several steps in an execution, all of them have the first one's values.
    UserError at the beginning of training for batches that are not counted beforehand.
    """

    def __init__(self, eps: Course, kappa: Course | None = None) -> None:
        super().__init__()
        self.courses: dict[str, Course] = {"eps": eps}
        if kappa is not None:
            self.courses["kappa"] = kappa
        self.epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Refuses what has no fractions of an epoch."""
        moves = any(callable(course) for course in self.courses.values())
        if moves and not self.params.get("steps"):
            raise UserError(
                "Schedule: expected a known number of batches in an epoch; received data without "
                "one: give fit steps_per_epoch"
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Notes the epoch."""
        self.epoch = epoch

    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Sets the values for the next step."""
        steps = self.params.get("steps") or 1
        for name, course in self.courses.items():
            value = course(self.epoch + batch / steps) if callable(course) else course
            getattr(self.model, name).assign(value)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the values that the epoch ended with."""
        if logs is not None:
            logs |= {name: float(getattr(self.model, name)) for name in self.courses}
