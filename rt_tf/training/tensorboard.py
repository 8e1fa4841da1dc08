"""Writes what a run tells its watcher as TensorBoard logs."""

from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from rt_tf.data import Split
from rt_tf.training.monitor import Monitor
from rt_tf.training.phases import Values
from rt_tf.training.position import Position

SCALARS_EVERY = 20
IMAGES = 8


class TensorBoard:
    """Scalars by step; accuracies, adversarial images and bound histograms by epoch."""

    def __init__(self, directory: Path, examples: Split) -> None:
        """examples: those shown as images and used for the histograms."""
        self.writer = tf.summary.create_file_writer(str(directory))
        self.examples = examples

    def text(self, name: str, markdown: str, step: int = 0) -> None:
        """Writes a markdown text, at once."""
        with self.writer.as_default(step=step):
            tf.summary.text(name, markdown)
        self.writer.flush()

    def on_step(self, position: Position, values: Values, terms: dict[str, float]) -> None:
        if position.total_steps % SCALARS_EVERY:
            return
        with self.writer.as_default(step=position.total_steps):
            for name, value in values._asdict().items():
                tf.summary.scalar(f"schedule/{name}", value)
            for name, value in terms.items():
                tf.summary.scalar(f"batch/{name}", value)

    def on_epoch(self, position: Position, row: dict[str, Any], monitor: Monitor) -> None:
        with self.writer.as_default(step=position.total_steps):
            for part in ("train", "validation"):
                for name, value in row[part].items():
                    if value is not None:
                        tf.summary.scalar(f"{name}/{part}", value)
            for name, value in row["steering"].items():
                tf.summary.scalar(f"steering/{name}", value)
            self._images(monitor)
            self._histograms(monitor)
        self.writer.flush()

    def _images(self, monitor: Monitor) -> None:
        """Clean, adversarial and (amplified) difference, one example a row."""
        if monitor.attack is None:
            return
        rows = slice(0, IMAGES)
        x = self.examples.images(rows)
        adversarial = monitor.adversarial(x, self.examples.labels[rows], self.examples.index[rows])
        change = 0.5 + (adversarial.numpy() - x) / (2.0 * monitor.eps)
        triples = np.concatenate([x, adversarial.numpy(), np.clip(change, 0.0, 1.0)], axis=2)
        tf.summary.image("clean, adversarial, difference", triples, max_outputs=IMAGES)

    def _histograms(self, monitor: Monitor) -> None:
        names, widths, stable = monitor.widths(self.examples)
        for name, width, share in zip(names, widths, stable, strict=True):
            tf.summary.histogram(f"bound_width/{name}", width)
            tf.summary.histogram(f"stable_share/{name}", share)
