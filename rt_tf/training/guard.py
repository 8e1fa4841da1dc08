"""The guard against catastrophic overfitting: an attack on one minibatch after every epoch."""

from collections.abc import Sequence
from pathlib import Path

import keras

from rt_tf.data import Split
from rt_tf.training.checkpoints import save_network
from rt_tf.training.model import RobustModel
from rt_tf.training.monitor import Monitor


class Guard:
    """Keeps the weights of the last epoch that was good, and puts them back after a bad one.

    monitor: with the attack that judges (5-step PGD in the paper). drop: see `overfits`. Source:
    Wong 2020 (thesis), section 4.1.2.
    """

    def __init__(self, monitor: Monitor, drop: float, directory: Path) -> None:
        self.monitor = monitor
        self.drop = drop
        self.path = directory / "good" / "network.keras"

    def judge(self, model: RobustModel, minibatch: Split, guarded: Sequence[float]) -> float:
        """The attacked accuracy after an epoch. guarded: those after the epochs before."""
        found = self.monitor.accuracies(minibatch).attacked
        assert found is not None
        if overfits([*guarded, found], self.drop):
            model.network.set_weights(keras.models.load_model(self.path).get_weights())
        else:
            save_network(model.network, self.path)
        return found


def overfits(accuracies: Sequence[float], drop: float) -> bool:
    """Whether the last attacked accuracy lost more than a share `drop` of the best before.

    Our rule for the "sudden drop" of catastrophic overfitting.
    """
    *before, now = accuracies or [0.0]
    return now < (1.0 - drop) * max(before, default=0.0)
