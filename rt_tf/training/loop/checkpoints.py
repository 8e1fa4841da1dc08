"""Checkpoints of a training run: whole ones only, and an earlier one if the last is corrupt."""

import json
import re
import shutil
import time
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from rt_tf import models
from rt_tf.errors import UserError
from rt_tf.training.loop.average import Average
from rt_tf.training.model import RobustModel

KEPT = 3
# TensorFlow's errors for files that are cut short, changed or missing: its own or, through its
# binding, Python's.
_CORRUPT = (tf.errors.OpError, ValueError, IndexError, KeyError, RuntimeError, AssertionError)


class Checkpoints:
    """Saves and restores a model, its optimizer and the position of a run.

    `notices` collects messages to the user about checkpoints that could not be read.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.notices: list[str] = []
        self._saved_at = time.monotonic()

    def save(self, step: int, position: dict[str, Any], **trackables: Any) -> None:
        """Writes checkpoint `step` and removes all but the last few."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._checkpoint(json.dumps(position), trackables).write(str(self._prefix(step)))
        for old in self.steps()[:-KEPT]:
            for path in self.directory.glob(f"ckpt-{old}.*"):
                path.unlink()
        self._saved_at = time.monotonic()

    def age(self) -> float:
        """The seconds since this process last saved, or began."""
        return time.monotonic() - self._saved_at

    def steps(self) -> list[int]:
        """The steps of the checkpoints on disk, oldest first."""
        names = (re.fullmatch(r"ckpt-(\d+)\.index", p.name) for p in self.directory.glob("*.index"))
        return sorted(int(match.group(1)) for match in names if match)

    def restore(self, **trackables: Any) -> dict[str, Any] | None:
        """Restores the newest checkpoint that can be read; returns its position, None without any.

        Files that a killed process left half-written are removed. UserError if there are
        checkpoints and none can be read.
        """
        self._sweep()
        steps = self.steps()
        for step in reversed(steps):
            try:
                return self._restored(step, trackables)
            except _CORRUPT as error:
                reason = str(error).splitlines()[0][:120] if str(error) else type(error).__name__
                self.notices.append(f"checkpoint ckpt-{step} cannot be read ({reason})")
        if steps:
            raise UserError(
                f"checkpoints: expected a readable one in {self.directory}; all of "
                f"{', '.join(f'ckpt-{step}' for step in steps)} are corrupt; remove the run's "
                "directory to start anew"
            )
        return None

    def restore_step(self, step: int, **trackables: Any) -> None:
        """Restores checkpoint `step`, which another process has found to be whole."""
        self._restored(step, trackables)

    def _sweep(self) -> None:
        """Removes checkpoints that are not whole: without an index, which is written last."""
        whole = {f"ckpt-{step}" for step in self.steps()}
        for path in self.directory.glob("ckpt-*"):
            if path.is_dir():
                shutil.rmtree(path)  # ckpt-<step>_temp
            elif path.name.split(".")[0] not in whole:
                path.unlink()

    def _restored(self, step: int, trackables: dict[str, Any]) -> dict[str, Any]:
        checkpoint = self._checkpoint("", trackables)
        status = checkpoint.read(str(self._prefix(step)))
        status.assert_existing_objects_matched()
        return json.loads(checkpoint.position.numpy())

    def _checkpoint(self, position: str, trackables: dict[str, Any]) -> tf.train.Checkpoint:
        return tf.train.Checkpoint(position=tf.Variable(position, dtype=tf.string), **trackables)

    def _prefix(self, step: int) -> Path:
        return self.directory / f"ckpt-{step}"


def trackables(model: RobustModel, average: Average | None) -> dict[str, Any]:
    """The objects that a checkpoint of training holds, beside the position."""
    averaged = {"average": average.network, "averaged": average.steps} if average else {}
    trained = {"network": model.network, "optimizer": model.optimizer, "moves": model.moves}
    return trained | averaged


def save_network(network: keras.Model, path: Path) -> None:
    """Writes a network as a .keras file of Keras's own classes, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".rt_tf-partial.{path.name}")
    models.stock(network).save(partial)
    partial.replace(path)
