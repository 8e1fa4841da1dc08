"""Training stops, with its last good weights kept, once numbers are no longer finite."""

import math

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.training.checkpoints import Checkpoints
from rt_tf.training.position import Position


class NotFiniteError(UserError):
    """The loss, or a weight, stopped being a number."""


def refuse_lost_loss(loss: float, position: Position, checkpoints: Checkpoints) -> None:
    """NotFiniteError for the loss of the step that is being taken."""
    if not math.isfinite(loss):
        raise _not_finite("loss", loss, position.total_steps + 1, position.phase, checkpoints)


def refuse_lost_weights(network: keras.Model, position: Position, checkpoints: Checkpoints) -> None:
    """NotFiniteError: the last step's gradient may have been infinite though its loss was not."""
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
