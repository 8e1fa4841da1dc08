"""Certification of the examples of a subject at a radius, rung by rung."""

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.bounds.intermediate import MEMORY
from rt_tf.certification.cascade import climb
from rt_tf.certification.ladder import Finding, Findings
from rt_tf.certification.rung import TIME_LIMIT
from rt_tf.evaluation import ladders
from rt_tf.evaluation.ladders import Ladders
from rt_tf.evaluation.method import Recipe
from rt_tf.evaluation.recording import Radii, certificate_file, record_missing
from rt_tf.evaluation.refusals import refuse_unanswered
from rt_tf.evaluation.subject import Subject
from rt_tf.exactly import radius_text
from rt_tf.progress import Progress
from rt_tf.proofs import store
from rt_tf.records.consistency import VERDICTS
from rt_tf.records.record_file import OPEN, RecordFile, Row
from rt_tf.records.verdict import Counterexample, example_verdict
from rt_tf.reporting.counterexamples import keep
from rt_tf.threats.region import Region

AT_ONCE = 10  # examples of a task: a hard one may last as long as hundreds of easy ones


@dataclasses.dataclass(frozen=True)
class CertifySettings:
    """Settings of certification.

    rungs: in this order; None for those of the recommended ladder that fit, in the order that is
    quickest. bounds: settings of bounds, by their names. time_limit: seconds that a rung which
    searches may take for an example. memory: MiB for the coefficients of a pass; None for each
    rung's default.
    """

    rungs: Sequence[str] | None = None
    bounds: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    time_limit: float = TIME_LIMIT
    memory: float | None = None

    def of_rungs(self) -> dict[str, Any]:
        """All settings of rungs, by their names."""
        memory = {} if self.memory is None else {"memory": self.memory}
        return {**self.bounds, **memory, "time_limit": self.time_limit}

    def limit(self, cause: str | None) -> Row:
        """The field of a record for the limit that is its cause, such as {"time_limit": 30.0}."""
        limits = {"time": self.time_limit, "memory": self.memory or MEMORY}
        return {f"{cause}_limit": limits[cause]} if cause in limits else {}

    def exceed_limits_of(self, row: Row) -> bool:
        """Whether a lower limit left a record's example unknown, which is to be tried again."""
        limits = self.limit(row.get("cause"))
        return any(row.get(name, limit) < limit for name, limit in limits.items())


def certify(
    subject: Subject, radii: Radii, settings: CertifySettings, progress: Progress
) -> list[RecordFile]:
    """Certifies test examples at each radius, rung by rung; returns the record file of each.

    Rungs that certified at a radius before are tried there, too: certificates do not get worse.
    UserError for rungs that do not fit the subject.
    """
    rungs = ladders.choose_rungs(subject, settings.rungs, progress)
    for rung in rungs:
        refuse_unanswered(rung, subject.threat)
    ladders_of = functools.cache(
        lambda names: ladders.make_ladders(subject, names, settings.of_rungs())
    )
    records = []
    for eps, samples in radii:
        before = ladders.rungs_before(subject, eps)
        names = (*before, *(rung for rung in rungs if rung not in before))
        # Ladders are made before any file is touched: a rung may refuse the network.
        records.append(_certify_at(subject, eps, samples, ladders_of(names), settings, progress))
    return records


def _certify_at(
    subject: Subject,
    eps: float,
    samples: int,
    climbing: Ladders,
    settings: CertifySettings,
    progress: Progress,
) -> RecordFile:
    rungs = list(climbing[0].rungs)
    recorded = {"rungs": rungs, "arithmetic": "sound"}
    recorded |= ladders.settings_taken(rungs, settings.bounds)
    again = settings.exceed_limits_of
    records = certificate_file(subject, eps, recorded, again, _carried(recorded))
    places = subject.first(samples)
    if settings.rungs is None:
        left = [place for place in places if place not in records.done]
        climbing = ladders.quickest_first(subject, climbing, eps, left, progress)
    method = LadderMethod(subject, climbing, eps, records.path.parent, settings)
    record_missing(subject, records, places, method, progress)
    return records


class LadderMethod(NamedTuple):
    """The method that climbs ladders at a radius, and stores their counterexamples and proofs."""

    subject: Subject
    ladders: Ladders
    eps: float
    folder: Path
    settings: CertifySettings

    @property
    def title(self) -> str:
        return f"certify eps {radius_text(self.eps)}"

    @property
    def recipe(self) -> Recipe:
        """The recipe by which another process makes the method."""
        rungs, settings = tuple(self.ladders[0].rungs), self.settings.of_rungs()
        return Recipe(
            functools.partial(ladders.make_ladders, rungs=rungs, settings=settings),
            functools.partial(
                LadderMethod, eps=self.eps, folder=self.folder.resolve(), settings=self.settings
            ),
            AT_ONCE,
        )

    def rows(self, places: np.ndarray, examples: list[Row]) -> Iterator[Row]:
        """Yields verdicts as they come; an example that the network gets wrong needs no ladder."""
        test = self.subject.test
        wrong = np.array([e["prediction"] != e["label"] for e in examples])
        for k in np.flatnonzero(wrong).tolist():
            yield example_verdict(examples[k], {})
        right = np.flatnonzero(~wrong)
        images, labels = test.images(places[right]), test.labels[places[right]]
        for k, findings in climb(self.ladders, images, labels, self.eps):
            yield self._row(examples[right[k]], images[k], findings)

    def begun(self, example: Row) -> Row:
        """The record of an example until it has a verdict: unknown, for want of time."""
        row = example_verdict(example, {})
        return {**row, "cause": "time"} if row["verdict"] == "unknown" else row

    def status(self, rows: list[Row]) -> str:
        """The number of examples with each verdict, in words."""
        count = Counter(row["verdict"] for row in rows)
        return ", ".join(f"{count[verdict]:,} {verdict}" for verdict in VERDICTS)

    def _row(self, example: Row, image: np.ndarray, findings: Findings) -> Row:
        findings, counterexample = self._confirmed(example, image, findings)
        proofs = [f.proof for f in findings.values() if f.certified and f.proof is not None]
        proof = store.keep(self.folder, example["index"], proofs[0]) if proofs else None
        row = example_verdict(example, findings, counterexample, proof)
        return row | self.settings.limit(row["cause"])

    def _confirmed(
        self, example: Row, image: np.ndarray, findings: Findings
    ) -> tuple[Findings, Counterexample | None]:
        """The findings, and the counterexample among them, which is stored; None without one.

        A rung's point counts if it is in the region, and the served network gives another answer.
        """
        rung = next((name for name, finding in findings.items() if finding.falsified), None)
        if rung is None:
            return findings, None
        point = np.asarray(findings[rung].point)[np.newaxis]
        prediction = int(self.subject.upheld_labels(point, self.eps)[0])
        x, domain = tf.constant(image[np.newaxis]), self.subject.wiring.domain
        region = Region(self.subject.threat, x, self.eps, domain)
        inside = bool(region.inside(tf.constant(point)).numpy()[0])
        if prediction == example["label"] or not inside:
            return {**findings, rung: _unconfirmed(findings[rung])}, None
        distance = float(region.distance(tf.constant(point)).numpy()[0])
        file = f"adversarial/{example['index']:05d}-certify.npy"
        sha256 = keep(self.folder, file, point[0])
        return findings, Counterexample(rung, file, sha256, distance, prediction)


def _unconfirmed(finding: Finding) -> Finding:
    """A finding whose point is no counterexample: right as served, or outside by rounding."""
    return finding._replace(falsified=False, cause="error")


def _carried(settings: Row) -> Callable[[Row, Row], Row | None]:
    """A function that carries over records of fewer rungs, with other settings equal.

    settings: of all the rungs. Examples that the fewer rungs left unknown stay, as open ones:
    without them, the records would be a sample of successes.
    """

    def under_these(header: Row, row: Row) -> Row | None:
        before = dict(header["settings"])
        fewer = set(before.pop("rungs", ())) <= set(settings["rungs"])
        if not fewer or before != {name: settings.get(name) for name in before}:
            return None
        return {**row, OPEN: True} if row["verdict"] == "unknown" else row

    return under_these
