"""The row of a run's history that an evaluation at an epoch's end adds, for watchers and resume."""

from typing import Any

from rt_tf.training.loop.cascade import CascadeMembers
from rt_tf.training.loop.clock import Clock
from rt_tf.training.monitor import Accuracies
from rt_tf.training.phases import Values


def history_row(
    clock: Clock,
    means: dict[str, float],
    values: Values,
    on_train: Accuracies,
    on_validation: Accuracies,
) -> dict[str, Any]:
    """The row of an evaluation: its place in the run, what was trained with, what was measured.

    means: of the epoch's terms. values: of the last step.
    """
    position = clock.position
    return {
        **{"phase": position.phase, "epoch": clock.epoch, "step": position.total_steps},
        **{"seconds": position.seconds, **means, **values._asdict()},
        **{"train": on_train._asdict(), "validation": on_validation._asdict()},
    }


def steering(clock: Clock, members: CascadeMembers, examples: int) -> dict[str, float]:
    """The quantities that decide how training goes on, by name, at an epoch's end, for watchers.

    examples: the number left open to this member of a cascade.
    """
    position, phase = clock.position, clock.phase
    quantities: dict[str, float] = {"phase": position.phase + 1}
    if phase.until == "stable" and (trend := clock.trend) is not None:
        quantities |= {"loss_fall": trend.fall, "loss_noise": trend.noise}
    if phase.attack == "latent":
        quantities["latent_layer"] = phase.latent_layer
    if position.guard_accuracy is not None:
        quantities |= {"guard_accuracy": position.guard_accuracy, "alarm": float(position.alarm)}
    if members.several:
        quantities |= {"member": members.number(position.phase), "open_examples": examples}
    return quantities
