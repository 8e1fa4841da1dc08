"""Attacking the test examples of a run; what counts is judged by the served network."""

import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from rich.console import Console

from pipelines.runs.subject import (
    ABSTAINS,
    LoadedRun,
    answered_labels,
    first,
    record_file,
    record_missing,
)
from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.run import attack_with_restarts
from rt_tf.attacks.task import Network
from rt_tf.attacks.transfer import transferred
from rt_tf.catalogue.suites import Budget
from rt_tf.records.record_file import RecordFile
from rt_tf.records.verdict import Row
from rt_tf.reporting.counterexamples import keep
from rt_tf.threats.region import Region


class AttackPlan(NamedTuple):
    """A network and a threat, at a radius, and the attacks that are tried."""

    subject: LoadedRun
    eps: float
    budgets: list[Budget]


class Source(NamedTuple):
    """Another run's network, on which points are made that are then tried here."""

    name: str
    network: Network


class Attacker:
    """An attack of a budget on a run's network, traced once for all radii."""

    def __init__(
        self, subject: LoadedRun, budget: Budget, seed: int, source: Source | None = None
    ) -> None:
        self.subject = subject
        self.name = (f"transfer-{source.name}-" if source else "") + budget.name(seed)
        self.settings = {**_settings(budget), "seed": seed}
        self.settings |= {"source": source.name} if source else {}
        self._points = _points(subject, budget, seed, source)

    def attack(self, eps: float, samples: int, screen: Console) -> RecordFile:
        """Attacks the first test examples at a radius, and keeps the counterexamples."""
        records = record_file(self.subject, eps, "attack", self.name, self.settings)
        outcomes = functools.partial(self._outcomes, eps, records.path.parent)
        title = f"{self.name} {records.path.parent.name}"
        record_missing(
            self.subject,
            records,
            first(self.subject, samples),
            outcomes,
            title,
            _withstanding,
            screen,
        )
        return records

    def _outcomes(
        self, eps: float, folder: Path, rows: np.ndarray, examples: list[Row]
    ) -> list[Row]:
        test, began = self.subject.test, time.perf_counter()
        images, labels = tf.constant(test.images(rows)), tf.constant(test.labels[rows])
        index, radius = tf.constant(test.index[rows]), tf.constant(eps, tf.float64)
        x, success, distance = (t.numpy() for t in self._points(images, labels, index, radius))
        predictions = answered_labels(self.subject, x, eps)
        seconds = (time.perf_counter() - began) / len(rows)
        outcomes = zip(examples, x, predictions, success, distance, strict=True)
        return [self._outcome(folder, *outcome, seconds) for outcome in outcomes]

    def _outcome(
        self,
        folder: Path,
        example: Row,
        x: np.ndarray,
        prediction: int,
        success: bool,
        distance: float,
        seconds: float,
    ) -> Row:
        """The attack's outcome on one example, judged by the served network too."""
        misclassified = example["prediction"] != example["label"]
        found = bool(success) and prediction not in (example["label"], ABSTAINS)
        found &= not misclassified
        file = f"adversarial/{example['index']:05d}-{self.name}.npy"
        return {
            **example,
            "success": misclassified or found,
            "adversarial_prediction": int(prediction) if found else None,
            "file": file if found else None,
            "sha256": keep(folder, file, x) if found else None,
            "distance": float(distance) if found else None,
            "seconds": seconds,
        }


def _settings(budget: Budget) -> Row:
    told = budget._asdict()
    del told["threats"]
    return told


def _points(
    subject: LoadedRun, budget: Budget, seed: int, source: Source | None
) -> Callable[..., Any]:
    """images, labels, index, eps -> points, whether they count, and how far from the images."""
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
        found = attack_with_restarts(task, method, start, budget.restarts)
        return found.x, found.success, region.distance(found.x)

    compiled = tf.function(points, autograph=False, reduce_retracing=True)
    return points if entry.eager else compiled


def _withstanding(rows: list[Row]) -> str:
    return f"{100.0 * np.mean([not row['success'] for row in rows]):.1f} %"
