"""Callbacks for `RobustModel.fit`."""

import dataclasses
from collections.abc import Callable
from typing import Any

import keras

from rt_tf import numbers
from rt_tf.errors import UserError, refuse_unknown
from rt_tf.training import dials
from rt_tf.training.model import RobustModel
from rt_tf.training.schedules import RAMPS


@dataclasses.dataclass(frozen=True)
class Ramp:
    """A value that goes from `start` to `end` over a number of epochs.

    after: epochs at `start` before it moves. form: a name in `rt_tf.training.schedules.RAMPS`.
    UserError for another form, for negative lengths, and for values that are no numbers.
    """

    start: float
    end: float
    epochs: float
    after: float = 0.0
    form: str = "linear"

    def __post_init__(self) -> None:
        refuse_unknown("form", self.form, RAMPS)
        for name in ("start", "end"):
            numbers.finite(name, getattr(self, name))
        for name in ("epochs", "after"):
            numbers.at_least_0(name, getattr(self, name))

    def __call__(self, epoch: float) -> float:
        """The value at an epoch, fractions included."""
        return RAMPS[self.form](epoch, self.start, self.end, self.after, self.epochs)


Course = float | Callable[[float], float]  # a value, or a function of the epoch and its fraction


class Schedule(keras.callbacks.Callback):
    """Sets a model's eps and kappa before every step, and writes them to the epoch's logs.

    eps, kappa: a number, a `Ramp`, or any function of the epoch, fractions included; None leaves
    kappa as it is. With several steps in an execution, all of them have the first one's values.
    UserError for values out of range: of numbers and ramps at once, of functions before the step.
    UserError at the beginning of training for data whose number of batches is not known beforehand.
    """

    def __init__(self, eps: Course, kappa: Course | None = None) -> None:
        super().__init__()
        self.courses: dict[str, Course] = {"eps": eps}
        if kappa is not None:
            self.courses["kappa"] = kappa
        for name, course in self.courses.items():
            for value in _ends(course):
                dials.checked(name, value)
        self.epoch = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Raises UserError for a model without eps and kappa, and for data without known length."""
        if not isinstance(self.model, RobustModel):
            raise UserError(
                f"Schedule: expected a RobustModel; received a {type(self.model).__name__}"
            )
        dials.refuse_unused(self.courses.get("kappa"), self.model.bounded)
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
        """Sets the values of the next step."""
        steps = self.params.get("steps") or 1
        for name, course in self.courses.items():
            value = course(self.epoch + batch / steps) if callable(course) else course
            getattr(self.model, name).assign(value)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the values at the epoch's end to the logs."""
        if logs is not None:
            logs |= {name: float(getattr(self.model, name)) for name in self.courses}


def _ends(course: Course) -> tuple[Any, ...]:
    """The values of a course that can be checked beforehand; a ramp lies between its ends."""
    if isinstance(course, Ramp):
        return course.start, course.end
    return () if callable(course) else (course,)
