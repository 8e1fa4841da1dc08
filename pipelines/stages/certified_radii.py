"""Certified radii of the test examples of a run, as records."""

import functools
import math
from collections.abc import Iterator

import numpy as np
from absl import flags
from rich.console import Console

from pipelines.build.refusals import refuse_unanswered
from pipelines.flags.evaluation import bound_settings
from pipelines.runs.subject import LoadedRun, first, headed, paced, record_missing
from pipelines.stages.certifying import settings_taken
from pipelines.stages.publish import contradiction
from rt_tf.certification.bracket import Trial
from rt_tf.certification.radius import Radius, RadiusSearch
from rt_tf.errors import UserError
from rt_tf.exactly import radius_text
from rt_tf.records import merge
from rt_tf.records.consistency import Inconsistent
from rt_tf.records.record_file import RecordFile
from rt_tf.records.verdict import Row
from rt_tf.reporting import radii


def search(subject: LoadedRun, largest: float, values: flags.FlagValues, screen: Console) -> None:
    """Searches the first test examples' radii up to `largest`, of the class each is given.

    Above the distance of a counterexample on record nothing is tried.
    """
    rungs, bounds = list(values.rungs), bound_settings(values)
    _refuse(subject, rungs)
    settings = {
        "rungs": rungs,
        "largest": largest,
        "tolerance": values.tolerance,
        "arithmetic": "sound",
        **settings_taken(rungs, bounds),
    }
    header = headed(subject, "radius", "radius", settings)
    file = RecordFile(subject.run.records / radii.file_name(subject.threat.name), header)
    searching = RadiusSearch(subject.wiring, subject.threat, rungs, values.tolerance, bounds)
    ends = _ends(subject, header)
    found = functools.partial(_radii, subject, searching, largest, ends)
    places, title = first(subject, values.samples), f"radius up to {radius_text(largest)}"
    status = paced(len(file.answered), _median)
    record_missing(subject, file, places, found, title, status, screen, _begun)


def _refuse(subject: LoadedRun, rungs: list[str]) -> None:
    for rung in rungs:
        refuse_unanswered(rung, subject.threat)
    if len(subject.members) > 1:
        raise UserError(
            "model_dir: expected a network; received a cascade, which may abstain at one radius "
            "and not at another; pipelines.certify certifies it at each"
        )


def _ends(subject: LoadedRun, header: Row) -> dict[int, float]:
    """By example's index, the distance of the nearest counterexample on record."""
    try:
        questions = merge.load(subject.run.records)
    except Inconsistent as error:
        raise contradiction(subject.run, error) from error
    own = [q for q in questions if _network(q) == subject.checksum]
    return radii.nearest(own, header)


def _network(question: merge.Question) -> str:
    return next(iter(question.headers.values()))["network_sha256"]


def _radii(
    subject: LoadedRun,
    searching: RadiusSearch,
    largest: float,
    ends: dict[int, float],
    rows: np.ndarray,
    examples: list[Row],
) -> Iterator[Row]:
    labels = np.array([example["prediction"] for example in examples], np.int64)
    known = [ends.get(example["index"], math.inf) for example in examples]
    most = np.array([min(largest, math.nextafter(distance, 0.0)) for distance in known])
    for place, found in searching.search(subject.test.images(rows), labels, most):
        distance = known[place] if known[place] <= largest else None
        yield {**examples[place], **_told(found), "counterexample_at": distance}


def _begun(example: Row) -> Row:
    """The record of an example until its search ends, which says that nothing is certified."""
    return {**example, **_told(Radius(0.0, None, (), 0.0)), "counterexample_at": None}


def _told(found: Radius) -> Row:
    return {
        "radius": found.radius,
        "rung": found.rung,
        "trials": [_trial(trial) for trial in found.trials],
        "seconds": found.seconds,
    }


def _trial(trial: Trial) -> Row:
    return {**trial._asdict(), "margin": trial.margin if math.isfinite(trial.margin) else None}


def _median(rows: list[Row]) -> str:
    return f"median {np.median([row['radius'] for row in rows]):.3g}"
