"""What decides how training goes on, besides schedules: to be watched."""

from rt_tf.training.cascade import Members
from rt_tf.training.clock import Clock


def steering(clock: Clock, members: Members, examples: int) -> dict[str, float]:
    """By name, at an epoch's end. examples: left open to this member."""
    position, phase = clock.position, clock.phase
    found: dict[str, float] = {"phase": position.phase + 1}
    if phase.until == "stable" and (trend := clock.trend) is not None:
        found |= {"loss_fall": trend.fall, "loss_noise": trend.noise}
    if phase.attack == "latent":
        found["latent_layer"] = phase.latent_layer
    if position.guard_accuracy is not None:
        found |= {"guard_accuracy": position.guard_accuracy, "alarm": float(position.alarm)}
    if members.several:
        found |= {"member": members.number(position.phase), "open_examples": examples}
    return found
