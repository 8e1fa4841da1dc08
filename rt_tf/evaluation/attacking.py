"""Attacks on the examples of a subject; the served network decides which points count."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.judging import attack_with_restarts
from rt_tf.attacks.task import Network
from rt_tf.attacks.transfer import transferred
from rt_tf.catalogue.suites import Budget
from rt_tf.evaluation.method import Recipe
from rt_tf.evaluation.recording import attack_file, record_missing
from rt_tf.evaluation.subject import ABSTAINS, Subject
from rt_tf.progress import Progress
from rt_tf.records.record_file import RecordFile, Row
from rt_tf.records.verdict import attack_counts
from rt_tf.reporting.counterexamples import keep
from rt_tf.threats.region import Region

AT_ONCE = 50  # examples of a task: they take about the same time
# images, labels, index, eps -> points, whether they succeed, and how far from the images they are.
Points = Callable[..., tuple[tf.Tensor, ...]]


class TransferSource(NamedTuple):
    """Another network, on which an attack makes the points that are tried on the subject.

    again: loads it in another process, for a subject there; it can be pickled.
    """

    name: str
    network: Network
    again: Callable[[Subject], "TransferSource"]


class Attacker:
    """An attack of a budget on a subject, traced once for all radii."""

    def __init__(
        self, subject: Subject, budget: Budget, seed: int, source: TransferSource | None = None
    ) -> None:
        self.subject = subject
        again = source.again if source else None
        self.made = functools.partial(_made, budget=budget, seed=seed, source=again)
        self.name = (f"transfer-{source.name}-" if source else "") + budget.name(seed)
        self.settings = {**_settings(budget), "seed": seed}
        self.settings |= {"source": source.name} if source else {}
        self.points = _points(subject, budget, seed, source)

    def attack(self, eps: float, samples: int, progress: Progress) -> RecordFile:
        """Attacks the first test examples at a radius, and keeps the counterexamples."""
        records = attack_file(self.subject, eps, self.name, self.settings)
        method = AttackAt(self, eps, records.path.parent)
        record_missing(self.subject, records, self.subject.first(samples), method, progress)
        return records


class AttackAt(NamedTuple):
    """The method that attacks at a radius, and stores the counterexamples in a folder."""

    attacker: Attacker
    eps: float
    folder: Path

    @property
    def title(self) -> str:
        return f"{self.attacker.name} {self.folder.name}"

    @property
    def recipe(self) -> Recipe:
        """The recipe by which another process makes the method."""
        at = functools.partial(_at, eps=self.eps, folder=self.folder.resolve())
        return Recipe(self.attacker.made, at, AT_ONCE)

    def rows(self, places: np.ndarray, examples: list[Row]) -> list[Row]:
        """The outcomes on the examples at some places of the test split."""
        test, began = self.attacker.subject.test, time.perf_counter()
        images, labels = tf.constant(test.images(places)), tf.constant(test.labels[places])
        index, eps = tf.constant(test.index[places]), tf.constant(self.eps, tf.float64)
        points = [t.numpy() for t in self.attacker.points(images, labels, index, eps)]
        predictions = self.attacker.subject.upheld_labels(points[0], self.eps)
        seconds = (time.perf_counter() - began) / len(places)
        outcomes = zip(examples, predictions, *points, strict=True)
        return [{**self._outcome(*outcome), "seconds": seconds} for outcome in outcomes]

    def begun(self, example: Row) -> None:
        """Records nothing, since outcomes come in the order of their examples."""

    def status(self, rows: list[Row]) -> str:
        """The share of examples that withstand."""
        return f"{100.0 * np.mean([not row['success'] for row in rows]):.1f} %"

    def _outcome(
        self, example: Row, prediction: int, x: np.ndarray, succeeded: bool, distance: float
    ) -> Row:
        """The attack's outcome on one example. prediction: the served network's at its point x."""
        answer = None if prediction == ABSTAINS else int(prediction)
        counts = attack_counts(example, bool(succeeded), answer)
        file = f"adversarial/{example['index']:05d}-{self.attacker.name}.npy"
        return {
            **example,
            "success": counts or example["prediction"] != example["label"],
            "adversarial_prediction": answer if counts else None,
            "file": file if counts else None,
            "sha256": keep(self.folder, file, x) if counts else None,
            "distance": float(distance) if counts else None,
        }


def _made(
    subject: Subject,
    budget: Budget,
    seed: int,
    source: Callable[[Subject], TransferSource] | None,
) -> Attacker:
    """An attacker in another process."""
    return Attacker(subject, budget, seed, source(subject) if source else None)


def _at(subject: Subject, attacker: Attacker, eps: float, folder: Path) -> AttackAt:
    """The method of an attacker, which has the subject, at a radius."""
    return AttackAt(attacker, eps, folder)


def _settings(budget: Budget) -> Row:
    settings = budget._asdict()
    del settings["threats"]
    return settings


def _points(subject: Subject, budget: Budget, seed: int, source: TransferSource | None) -> Points:
    entry = catalogue.find("attack", budget.attack)
    stop = not subject.is_cascade  # a cascade abstains where an attack only just succeeds
    method = catalogue.attack(budget.attack, {**_settings(budget), "early_stop": stop})
    method = transferred(method, source.network) if source else method
    start = catalogue.resolve("start", budget.start)
    loss = catalogue.resolve("loss", budget.loss)

    def points(
        images: tf.Tensor, labels: tf.Tensor, index: tf.Tensor, eps: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        region = Region(subject.threat, images, eps, subject.wiring.domain)
        keys = noise.keys(tf.constant([seed, 2], tf.int64), index)
        task = subject.task(region, labels, keys, loss)
        result = attack_with_restarts(task, method, start, budget.restarts)
        return result.x, result.success, region.distance(result.x)

    compiled: Points = tf.function(points, autograph=False, reduce_retracing=True)
    return points if entry.eager else compiled
