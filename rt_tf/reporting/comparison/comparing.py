"""Accuracies of several runs on the images that all of them have records of."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rt_tf.errors import UserError
from rt_tf.exactly import radius_text
from rt_tf.records.merge import CERTIFY, Question
from rt_tf.records.record_file import Row
from rt_tf.reporting import statistics
from rt_tf.reporting.claim import domain_of
from rt_tf.reporting.comparison.runs import Run, System, chosen_radii, read, systems

MACHINE = ("cpu", "cores", "accelerators")  # what times depend on

Image = tuple[int, str]  # its index in the split, and its checksum


class Column(NamedTuple):
    """An accuracy at a radius, of the same images for all runs.

    images: their number. rates: of each system's runs, in their order; None where one of a system's
    runs has no verdicts of the kind.
    """

    accuracy: str
    eps: float
    images: int
    rates: list[list[Row] | None]


class Comparison(NamedTuple):
    """Several systems under one threat.

    domain: of the inputs, {lower, upper}. notes: sentences on what makes them hard to compare.
    """

    data: str
    threat: str
    domain: Row
    systems: list[System]
    columns: list[Column]
    notes: list[str]


class Spread(NamedTuple):
    """The mean of some numbers, and their sample standard deviation: None of a single one."""

    mean: float
    deviation: float | None


def spread(values: Sequence[float]) -> Spread:
    """The mean and the sample standard deviation of one number or more."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(float(np.mean(values)), deviation)


def compare(
    folders: Sequence[str | Path], radii: Sequence[float] | None, operational: Collection[str]
) -> Comparison:
    """The comparison of some runs at some radii, by default those that they were made for.

    operational: flags that do not change what is trained. UserError for runs that cannot be
    compared (`runs.read`), and for radii without records or without images in common.
    """
    compared = systems(read(folders), operational)
    runs = [run for system in compared for run in system.runs]
    chosen = chosen_radii(runs, radii)
    dataset = runs[0].facts["dataset"]
    split = next(iter(runs[0].own.headers.values()))["split"]
    return Comparison(
        f"{dataset['name']} {split} split",
        runs[0].own.threat,
        domain_of(runs[0].facts).config(),
        compared,
        _columns(compared, chosen),
        [*_differing_means(runs, chosen), *_differing_machines(runs)],
    )


def _columns(compared: Sequence[System], radii: Iterable[float]) -> list[Column]:
    """The columns of each radius, but for clean ones of the same images as one before."""
    columns: list[Column] = []
    seen: set[frozenset[Image]] = set()
    for eps in radii:
        for accuracy in statistics.MEASURED:
            column, images = _column(compared, accuracy, eps)
            if accuracy == "clean" and images in seen:
                continue
            if accuracy == "clean":
                seen.add(images)
            columns.append(column)
    return columns


def _column(
    compared: Sequence[System], accuracy: str, eps: float
) -> tuple[Column, frozenset[Image]]:
    questions = [[run.by_eps[eps] for run in system.runs] for system in compared]
    has = [all(measured(q, accuracy) for q in of_system) for of_system in questions]
    sharing = [q for of_system, yes in zip(questions, has, strict=True) if yes for q in of_system]
    images = common_images(sharing, accuracy)
    if sharing and not images:
        threat = sharing[0].threat
        raise UserError(
            f"runs: expected test images that all runs have {accuracy} verdicts of at {threat} "
            f"{radius_text(eps)}; there are none"
        )
    rates = [
        [_rate(q, images, accuracy) for q in of_system] if yes else None
        for of_system, yes in zip(questions, has, strict=True)
    ]
    return Column(accuracy, eps, len(images), rates), images


def measured(question: Question, accuracy: str) -> set[Image]:
    """The images on which an accuracy was measured."""
    is_measured = statistics.MEASURED[accuracy]
    return {(row["index"], row["image"]) for row in question.rows if is_measured(row)}


def common_images(questions: Sequence[Question], accuracy: str) -> frozenset[Image]:
    """The images on which an accuracy was measured in each of some questions."""
    of_each = [measured(question, accuracy) for question in questions]
    return frozenset(set.intersection(*of_each)) if of_each else frozenset()


def restricted(question: Question, images: Collection[Image]) -> Question:
    """The question with the rows of some images alone."""
    rows = [row for row in question.rows if (row["index"], row["image"]) in images]
    return dataclasses.replace(question, rows=rows)


def _rate(question: Question, images: Collection[Image], accuracy: str) -> Row:
    rate: Row = statistics.accuracies(restricted(question, images).rows)[accuracy]
    return rate


class Means(NamedTuple):
    """The attacks or rungs of a question. key: equal for equal ones. words: their names."""

    key: str
    words: str


def _attacks(question: Question) -> Means:
    """The attacks with their settings but the seed, which is that of a run.

    An attack that was begun and has no example yet is none of them.
    """
    tried = sorted({name for row in question.rows for name in row["attacks"]})
    settings = [{**question.attacks[name], "seed": None} for name in tried]
    key = sorted(json.dumps(attack, sort_keys=True) for attack in settings)
    return Means(str(key), ", ".join(tried) or "none")


def _rungs(question: Question) -> Means:
    settings = question.headers[CERTIFY]["settings"] if CERTIFY in question.headers else {}
    rungs = settings.get("rungs", ())
    return Means(str(sorted(rungs)), ", ".join(rungs) or "none")


MEANS: dict[str, Callable[[Question], Means]] = {"attacks": _attacks, "rungs": _rungs}


def _differing_means(runs: Sequence[Run], radii: Iterable[float]) -> list[str]:
    """Sentences on attacks or rungs that are not the same for all runs."""
    notes = []
    for eps in radii:
        for what, means_of in MEANS.items():
            by_run = {run.folder: means_of(run.by_eps[eps]) for run in runs}
            if len({means.key for means in by_run.values()}) > 1:
                listed = "; ".join(f"{folder}: {means.words}" for folder, means in by_run.items())
                notes.append(f"The {what} at {radius_text(eps)} are not the same: {listed}.")
    return notes


def _differing_machines(runs: Sequence[Run]) -> list[str]:
    """A sentence on times of training that were not taken on machines of one kind."""
    machines = [run.facts.get("hardware") or {} for run in runs]
    kinds = {str([machine.get(name) for name in MACHINE]) for machine in machines}
    if len(kinds) == 1:
        return []
    return ["The runs were trained on machines of several kinds: their times do not compare."]
