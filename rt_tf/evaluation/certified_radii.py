"""Certified radii of the examples of a subject, as records."""

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from rt_tf.certification.bracket import Trial
from rt_tf.certification.radius import Radius, RadiusSearch
from rt_tf.command_line import called
from rt_tf.errors import UserError
from rt_tf.evaluation.ladders import settings_taken
from rt_tf.evaluation.method import Recipe
from rt_tf.evaluation.recording import headed, record_missing
from rt_tf.evaluation.refusals import refuse_unanswered
from rt_tf.evaluation.subject import Subject
from rt_tf.exactly import radius_text
from rt_tf.progress import Progress
from rt_tf.records import merge, parts
from rt_tf.records.record_file import RecordFile, Row
from rt_tf.reporting import radii

AT_ONCE = 10  # examples of a task


@dataclasses.dataclass(frozen=True)
class RadiusSettings:
    """Settings of a search for certified radii.

    rungs: bounds, each of which goes on above what those before it certify. tolerance: the share of
    a radius by which the search may fall short of where its bound fails. bounds: settings of
    bounds, by their names. samples: first examples of the test split; 0: all.
    """

    rungs: Sequence[str] = ("crown_ibp", "crown")
    tolerance: float = 0.01
    bounds: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    samples: int = 0


def search_radii(
    subject: Subject, largest: float, settings: RadiusSettings, progress: Progress
) -> RecordFile:
    """Searches the radii of the first test examples up to `largest`, for the predicted classes.

    Nothing is tried above the distance of a counterexample on record. UserError for rungs without
    an answer to the threat, and for a cascade; Inconsistent for records that contradict each other.
    """
    _refuse(subject, settings.rungs)
    recorded = {
        "rungs": list(settings.rungs),
        "largest": largest,
        "tolerance": settings.tolerance,
        "arithmetic": "sound",
        **settings_taken(settings.rungs, settings.bounds),
    }
    header = headed(subject, "radius", "radius", recorded)
    table = radii.table_name(subject.threat.name)
    records = parts.open_table(subject.records, table, header, subject.part)
    search, counterexamples = _search(subject, settings), _counterexamples(subject, header)
    method = RadiusMethod(subject, search, largest, counterexamples, settings)
    record_missing(subject, records, subject.first(settings.samples), method, progress)
    return records


def _search(subject: Subject, settings: RadiusSettings) -> RadiusSearch:
    rungs, bounds = list(settings.rungs), dict(settings.bounds)
    return RadiusSearch(subject.wiring, subject.threat, rungs, settings.tolerance, bounds)


def _refuse(subject: Subject, rungs: Sequence[str]) -> None:
    for rung in rungs:
        refuse_unanswered(rung, subject.threat)
    if subject.is_cascade:
        raise UserError(
            "model_dir: expected a network; received a cascade, which may abstain at one radius "
            f"and not at another; {called('certify')} certifies it at each"
        )


def _counterexamples(subject: Subject, header: Row) -> dict[int, float]:
    """The distance of the nearest counterexample on record, by the example's index."""
    questions = [q for q in merge.load(subject.records) if _network(q) == subject.checksum]
    return radii.nearest(questions, header)


def _network(question: merge.Question) -> str:
    return next(iter(question.headers.values()))["network_sha256"]


class RadiusMethod(NamedTuple):
    """The method that searches radii, below the distances of the counterexamples on record."""

    subject: Subject
    search: RadiusSearch
    largest: float
    counterexamples: dict[int, float]
    settings: RadiusSettings

    @property
    def title(self) -> str:
        return f"radius up to {radius_text(self.largest)}"

    @property
    def recipe(self) -> Recipe:
        """The recipe by which another process makes the method."""
        return Recipe(
            functools.partial(_search, settings=self.settings),
            functools.partial(
                RadiusMethod,
                largest=self.largest,
                counterexamples=self.counterexamples,
                settings=self.settings,
            ),
            AT_ONCE,
        )

    def rows(self, places: np.ndarray, examples: list[Row]) -> Iterator[Row]:
        """The radii of the examples at some places, as each search ends."""
        labels = np.array([example["prediction"] for example in examples], np.int64)
        distances = [self.counterexamples.get(example["index"], math.inf) for example in examples]
        most = np.array([min(self.largest, math.nextafter(end, 0.0)) for end in distances])
        images = self.subject.test.images(places)
        for k, radius in self.search.search(images, labels, most):
            distance = distances[k] if distances[k] <= self.largest else None
            yield {**examples[k], **_row(radius), "counterexample_at": distance}

    def begun(self, example: Row) -> Row:
        """The record of an example until its search ends, which says that nothing is certified."""
        return {**example, **_row(Radius(0.0, None, (), 0.0)), "counterexample_at": None}

    def status(self, rows: list[Row]) -> str:
        """The median radius."""
        return f"median {np.median([row['radius'] for row in rows]):.3g}"


def _row(radius: Radius) -> Row:
    return {
        "radius": radius.radius,
        "rung": radius.rung,
        "trials": [_trial(trial) for trial in radius.trials],
        "seconds": radius.seconds,
    }


def _trial(trial: Trial) -> Row:
    return {**trial._asdict(), "margin": trial.margin if math.isfinite(trial.margin) else None}
