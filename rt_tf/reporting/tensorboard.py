"""TensorBoard logs of a run's events.

Training and validation are two runs, `train` and `validation`, whose accuracies have one tag, so
that they lie over each other. Texts, hyperparameters and the headline figures are the folder's own.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorboard.plugins.hparams import api as hparams

from rt_tf.data import Split
from rt_tf.exactly import radius_text
from rt_tf.records.record_file import Row
from rt_tf.reporting.figures.pictures import adversarial_examples
from rt_tf.reporting.figures.style import encode
from rt_tf.training.loop.state import TrainingState
from rt_tf.training.monitor import Monitor
from rt_tf.training.phases import Values

SCALARS_EVERY = 20
IMAGES = 8
DOTS = 110  # per inch of a picture
PARTS = ("train", "validation")


class TensorBoard:
    """Scalars by step; accuracies, adversarial images and bound histograms by epoch."""

    def __init__(
        self, directory: Path, examples: Split, class_names: Sequence[str] | None = None
    ) -> None:
        """examples: shown as images, and used for the histograms. class_names: by label."""
        self.directory = directory
        self.examples = examples
        self.class_names = class_names
        self.writer = tf.summary.create_file_writer(str(directory))
        self._writers: dict[str, tf.summary.SummaryWriter] = {}

    def text(self, name: str, markdown: str, step: int = 0) -> None:
        """Writes a markdown text, at once."""
        with self.writer.as_default(step=step):
            tf.summary.text(name, markdown)
        self.writer.flush()

    def headline(self, flags: Mapping[str, str], accuracies: Mapping[str, Row | None]) -> None:
        """Writes a run's flags as hyperparameters, with the accuracies that it is judged by.

        accuracies: rates of the report's schema; None where there is none.
        """
        with self.writer.as_default(step=0):
            settings = {name: _value(text) for name, text in flags.items()}
            metrics = [hparams.Metric(f"headline/{name}", display_name=name) for name in accuracies]
            hparams.hparams_config(hparams=list(map(hparams.HParam, settings)), metrics=metrics)
            hparams.hparams(settings, trial_id=str(self.directory))
            for name, rate in accuracies.items():
                if rate is not None:
                    tf.summary.scalar(f"headline/{name}", rate["rate"])
        self.writer.flush()

    def on_step(self, position: TrainingState, values: Values, terms: dict[str, float]) -> None:
        """Writes schedules and terms; a bound's weight is written only with its loss."""
        if position.total_steps % SCALARS_EVERY:
            return
        with self._part("train").as_default(step=position.total_steps):
            for name, value in values._asdict().items():
                if name != "kappa" or "bound_loss" in terms:
                    tf.summary.scalar(f"schedule/{name}", value)
            for name, value in terms.items():
                tf.summary.scalar(f"batch/{name}", value)

    def on_epoch(self, position: TrainingState, row: dict[str, Any], monitor: Monitor) -> None:
        for part in PARTS:
            with self._part(part).as_default(step=position.total_steps):
                for name, value in row[part].items():
                    if value is not None:
                        tf.summary.scalar(f"accuracy/{name}", value)
        with self._part("train").as_default(step=position.total_steps):
            for name, value in row["steering"].items():
                tf.summary.scalar(f"steering/{name}", value)
        with self._part("validation").as_default(step=position.total_steps):
            self._images(monitor)
            self._histograms(monitor)
        for part in PARTS:
            self._part(part).flush()

    def _part(self, name: str) -> tf.summary.SummaryWriter:
        """The writer of a part, whose run begins with its first value."""
        if name not in self._writers:
            path = self.directory / name
            self._writers[name] = tf.summary.create_file_writer(str(path))
        return self._writers[name]

    def _images(self, monitor: Monitor) -> None:
        """Writes images before and after the attack, their differences, labels and answers."""
        if monitor.attack is None:
            return
        rows = slice(0, IMAGES)
        x, labels = self.examples.images(rows), self.examples.labels[rows]
        attacked = monitor.adversarial(x, labels, self.examples.index[rows])
        columns = zip(
            labels, attacked.answers, attacked.answers_after, attacked.distances, strict=True
        )
        examples = [
            {
                "label": int(label),
                "answer": int(before),
                "prediction": int(after),
                "distance": float(distance),
                "name": f"within {radius_text(monitor.eps)}",
            }
            for label, before, after, distance in columns
        ]
        figure = adversarial_examples(
            x, attacked.x, examples, self.examples.domain, self._class_name
        )
        if figure is not None:
            picture = tf.io.decode_png(encode(figure, "png", dpi=DOTS), channels=3)
            tf.summary.image("clean, adversarial, difference", picture[tf.newaxis])

    def _class_name(self, label: int) -> str:
        return str(label) if self.class_names is None else self.class_names[label]

    def _histograms(self, monitor: Monitor) -> None:
        names, widths, stable = monitor.widths(self.examples)
        for name, width, share in zip(names, widths, stable, strict=True):
            tf.summary.histogram(f"bound_width/{name}", width)
            tf.summary.histogram(f"stable_share/{name}", share)


def _value(text: str) -> bool | float | str:
    """A flag's value as a truth value or a number, by which TensorBoard sorts, else as text."""
    if text in ("true", "false"):
        return text == "true"
    try:
        number = float(text)
    except ValueError:
        return text
    return number if np.isfinite(number) else text
