"""The guard: puts weights back once they overfit to an attack, stops where numbers are lost."""

import math
from collections.abc import Sequence
from pathlib import Path

import keras
import tensorflow as tf

from rt_tf.data import Split
from rt_tf.errors import UserError
from rt_tf.training.loop.checkpoints import Checkpoints, save_network
from rt_tf.training.loop.clock import Clock
from rt_tf.training.loop.state import TrainingState
from rt_tf.training.model import RobustModel
from rt_tf.training.monitor import Monitor

MOST = 0.5  # the accuracy on training points from which a network counts as having learnt them


class Guard:
    """Keeps the last good weights, and puts them back once the network overfits to its attack.

    monitor: with the attack that judges (5-step PGD in the paper). drop: the share of accuracy
    whose loss is sudden, see `overfits`. Source: Wong 2020 (thesis), section 4.1.2.
    """

    def __init__(self, monitor: Monitor, drop: float, directory: Path) -> None:
        self.monitor = monitor
        self.drop = drop
        self.path = directory / "good" / "network.keras"

    def keep(self, model: RobustModel) -> None:
        """Keeps the present weights as good ones."""
        save_network(model.network, self.path)

    def restore(self, model: RobustModel) -> None:
        """Puts the good weights back."""
        model.network.set_weights(keras.models.load_model(self.path).get_weights())

    def accuracy(self, minibatch: Split, eps: float) -> float:
        """The accuracy under the attack that judges, at this radius."""
        attacked = self.monitor.accuracies(minibatch, tf.constant(eps, tf.float32)).attacked
        assert attacked is not None
        return attacked

    def judge(self, accuracy: float, clock: Clock) -> bool:
        """Notes an accuracy and whether it is an alarm; returns whether the weights are good."""
        position, trained = clock.position, clock.means["point_accuracy"]
        before = position.guarded if clock.at_full_radius else []
        position.alarm = overfits(accuracy, before, trained, self.drop)
        position.guard_accuracy = accuracy
        if clock.at_full_radius:
            position.guarded = [*before, accuracy]
        return good(accuracy, before, trained, self.drop)


def good(accuracy: float, before: Sequence[float], trained: float, drop: float) -> bool:
    """Whether an attacked accuracy is near the best before and the accuracy on training points."""
    return accuracy >= (1.0 - drop) * max([trained, *before])


def overfits(accuracy: float, before: Sequence[float], trained: float, drop: float) -> bool:
    """Whether a network falls to the judging attack, but not to the attack of its training.

    before: attacked accuracies at the same radius. trained: the accuracy at the points of training.

    Our rule for the "sudden drop" of catastrophic overfitting: more than a share `drop` of the best
    before is lost; or, as a radius that grows has no accuracy before, more than twice that share of
    the accuracy at the points of training, once that is a majority.
    """
    fallen = accuracy < (1.0 - drop) * max(before, default=0.0)
    return fallen or (trained > MOST and accuracy < (1.0 - drop) ** 2 * trained)


class NotFiniteError(UserError):
    """The loss or a weight is no longer a finite number."""


def refuse_lost_loss(loss: float, position: TrainingState, checkpoints: Checkpoints) -> None:
    """Raises NotFiniteError for the loss of the present step if it is not finite."""
    if not math.isfinite(loss):
        raise _not_finite("loss", loss, position.total_steps + 1, position.phase, checkpoints)


def refuse_lost_weights(
    network: keras.Model, position: TrainingState, checkpoints: Checkpoints
) -> None:
    """Raises NotFiniteError if a weight is not finite.

    The last step's gradient may have been infinite though its loss was not.
    """
    for weight in network.trainable_variables:
        if not tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(weight))):
            what = f"weights of {weight.path}"
            raise _not_finite(what, math.nan, position.total_steps, position.phase, checkpoints)


def _not_finite(
    what: str, received: float, step: int, phase: int, checkpoints: Checkpoints
) -> NotFiniteError:
    steps = checkpoints.steps()
    kept = f"checkpoints/ckpt-{steps[-1]}" if steps else "none yet"
    return NotFiniteError(
        f"{what}: expected finite numbers; received {received} at step {step} "
        f"(phase {phase + 1}); training stopped; "
        f"last good weights: {kept}; a smaller --learning_rate or --clip_norm may help"
    )
