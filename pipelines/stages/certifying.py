"""Certifying the test examples of a run, rung by rung."""

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from absl import flags
from rich.console import Console

from pipelines.build.refusals import refuse_unanswered
from pipelines.flags.evaluation import bound_settings
from pipelines.runs.subject import (
    LoadedRun,
    Radii,
    answered_labels,
    first,
    paced,
    record_file,
    record_missing,
    served_labels,
)
from rt_tf import catalogue
from rt_tf.bounds.intermediate import MEMORY
from rt_tf.catalogue.bounds import LADDER
from rt_tf.certification import plan
from rt_tf.certification.cascade import climb
from rt_tf.certification.ladder import Finding, Findings, Ladder
from rt_tf.errors import UserError
from rt_tf.exactly import radius_text
from rt_tf.proofs import store
from rt_tf.records import parts
from rt_tf.records.merge import question_name, read
from rt_tf.records.record_file import OPEN
from rt_tf.records.verdict import Counterexample, Row, certificate
from rt_tf.reporting.counterexamples import keep
from rt_tf.threats.region import Region

Ladders = list[Ladder]  # one for each member of a cascade; one for a network alone
PILOT, WORTH_A_PLAN = 20, 100  # examples on which rungs are measured; for fewer, it is no gain
VERDICTS = ("certified", "falsified", "unknown")


def certify(subject: LoadedRun, radii: Radii, values: flags.FlagValues, screen: Console) -> None:
    """Certifies test examples at each radius, rung by rung.

    A radius that was certified before with further rungs keeps them: certificates do not get worse.
    """
    rungs, bounds = _rungs(subject, values, screen), bound_settings(values)
    for rung in rungs:
        refuse_unanswered(rung, subject.threat)
    made = functools.cache(functools.partial(_ladders, subject, bounds=bounds))
    part = "{}of{}".format(*values.slice) if "slice" in values and values.slice else ""
    with subject.run.holding(part):
        for eps, samples in radii:
            known = _rungs_before(subject, eps)
            wanted = (*known, *(rung for rung in rungs if rung not in known))
            ladders = made(wanted)  # before any file is touched: a rung may refuse the network
            settings = {"rungs": list(wanted), "arithmetic": "sound"}
            settings |= settings_taken(wanted, bounds)
            limits = Limits(values.time_limit, values.bound_memory or MEMORY)
            records = record_file(
                subject,
                eps,
                "certify",
                "certify",
                settings,
                part,
                again=limits.are_more_than,
                carried=_carried(settings),
            )
            places = _places(first(subject, samples), values)
            if values.rungs is None:
                ladders = _planned(subject, ladders, eps, places, records.done, screen)
            question = _Question(subject, ladders, eps, records.path.parent, limits)
            title, found = (
                f"certify eps {radius_text(eps)}",
                functools.partial(_certificates, question),
            )
            status = paced(len(records.answered), _verdicts)
            record_missing(subject, records, places, found, title, status, screen, _begun)


class Limits(NamedTuple):
    """Seconds an example, and MiB for the coefficients of a pass."""

    time: float
    memory: float

    def told(self, cause: str | None) -> Row:
        """What a record says of the limit that was its cause."""
        return {f"{cause}_limit": getattr(self, cause)} if cause in self._fields else {}

    def are_more_than(self, row: Row) -> bool:
        """Whether an example was left unknown for a lower limit, and is to be asked once more."""
        limits = self.told(row.get("cause"))
        return any(row.get(name, limit) < limit for name, limit in limits.items())


class _Question(NamedTuple):
    """What is asked of an example, and where what it takes is kept."""

    subject: LoadedRun
    ladders: Ladders
    eps: float
    folder: Path
    limits: Limits


def _places(places: Sequence[int], values: flags.FlagValues) -> Sequence[int]:
    """The places that this process answers for."""
    if "slice" not in values or values.slice is None:
        return places
    k, n = values.slice
    if k > len(places):
        raise UserError(
            f"slice: expected a part that has examples; received {k}/{n} of {len(places)} examples"
        )
    return places[k - 1 :: n]


def _rungs(subject: LoadedRun, values: flags.FlagValues, screen: Console) -> list[str]:
    """Those asked for; else all of the usual ladder that answer to the network and the threat."""
    cascade = len(subject.members) > 1
    if values.rungs is not None:
        unfit = [rung for rung in values.rungs if cascade and rung in catalogue.SEARCHES]
        if unfit:
            raise UserError(
                f"rungs: expected bounds for a cascade, whose members are asked in turn; received "
                f"{', '.join(unfit)}; pipelines.evaluate attacks the whole cascade"
            )
        return list(values.rungs)
    left_out = {}
    for rung in LADDER:
        known = (catalogue.SEARCHES | catalogue.BOUNDS)[rung].threats
        if cascade and rung in catalogue.SEARCHES:
            left_out[rung] = "a cascade's members are asked in turn"
        elif known and subject.threat.name not in known:
            left_out[rung] = f"it has no answer to {subject.threat.name}"
        elif rung == "branch_and_bound" and subject.wiring.lower().curved:
            left_out[rung] = "the network has other activations than ReLU"
    for rung, why in left_out.items():
        screen.print(f"without {rung}: {why}")
    return [rung for rung in LADDER if rung not in left_out]


def _ladders(subject: LoadedRun, rungs: Sequence[str], bounds: dict[str, Any]) -> Ladders:
    return [Ladder(wiring, subject.threat, rungs, bounds) for wiring in subject.members]


def _planned(
    subject: LoadedRun,
    ladders: Ladders,
    eps: float,
    places: Sequence[int],
    done: set[int],
    screen: Console,
) -> Ladders:
    """With the rungs in the order that was quickest on the first examples left, if they are many.

    The usual ones, the complete one last; rungs that a question has besides come after it. Not
    without a complete one, nor for a cascade, whose members see different examples.
    """
    left = [i for i in places if i not in done]
    rows = np.array(left[:PILOT])
    usual = [rung for rung in LADDER if rung in ladders[0].rungs]
    if len(ladders) > 1 or len(left) < WORTH_A_PLAN or LADDER[-1] not in usual:
        return ladders
    images, labels = subject.test.images(rows), subject.test.labels[rows]
    right = served_labels(subject, images) == labels
    if not right.any():
        return ladders
    measured = plan.measure(ladders[0].reordered(usual), images[right], labels[right], eps)
    names = plan.order(measured)
    screen.print(
        f"certify eps {radius_text(eps)}: {' -> '.join(names)} is quickest on {len(rows)} images"
    )
    others = [rung for rung in ladders[0].rungs if rung not in usual]
    return [ladders[0].reordered([*names, *others])]


def settings_taken(rungs: Sequence[str], bounds: dict[str, Any]) -> dict[str, Any]:
    """The settings that decide what the rungs find; memory and time do not."""
    entries = [(catalogue.SEARCHES | catalogue.BOUNDS)[rung] for rung in rungs]
    options = {option for entry in entries for option in entry.options} - {"memory", "time_limit"}
    return {f"bound_{name}": bounds[name] for name in sorted(options) if name in bounds}


def _certificates(question: _Question, rows: np.ndarray, examples: list[Row]) -> Iterator[Row]:
    """The verdicts as they come; what the network gets wrong by itself needs no ladder."""
    test = question.subject.test
    wrong = np.array([e["prediction"] != e["label"] for e in examples])
    for k in np.flatnonzero(wrong):
        yield certificate(examples[k], {})
    asked = np.flatnonzero(~wrong)
    images, labels = test.images(rows[asked]), test.labels[rows[asked]]
    for place, findings in climb(question.ladders, images, labels, question.eps):
        example = examples[asked[place]]
        findings, counterexample = _judged(question, example, images[place], findings)
        proof = _kept(question.folder, example, findings)
        row = certificate(example, findings, counterexample, proof)
        yield row | question.limits.told(row["cause"])


def _judged(
    question: _Question, example: Row, image: np.ndarray, findings: Findings
) -> tuple[Findings, Counterexample | None]:
    """A counterexample counts, and is stored, if the served network gives another answer to it."""
    rung = next((name for name, finding in findings.items() if finding.falsified), None)
    if rung is None:
        return findings, None
    point = np.asarray(findings[rung].point)[np.newaxis]
    prediction = int(answered_labels(question.subject, point, question.eps)[0])
    x, domain = tf.constant(image[np.newaxis]), question.subject.wiring.domain
    region = Region(question.subject.threat, x, question.eps, domain)
    inside = bool(region.inside(tf.constant(point)).numpy()[0])
    if prediction == example["label"] or not inside:
        return {**findings, rung: _unconfirmed(findings[rung])}, None
    distance = float(region.distance(tf.constant(point)).numpy()[0])
    file = f"adversarial/{example['index']:05d}-certify.npy"
    sha256 = keep(question.folder, file, point[0])
    return findings, Counterexample(rung, file, sha256, distance, prediction)


def _unconfirmed(finding: Finding) -> Finding:
    """A point that the served network gets right, or that is outside by a rounding."""
    return finding._replace(falsified=False, cause="error")


def _kept(folder: Path, example: Row, findings: Findings) -> str | None:
    """Stores what the certificate was made of, beside its rung's rule."""
    proofs = [f.proof for f in findings.values() if f.certified and f.proof is not None]
    return store.keep(folder, example["index"], proofs[0]) if proofs else None


def _rungs_before(subject: LoadedRun, eps: float) -> list[str]:
    """The rungs of the certificates there are of this network at a radius."""
    folder = subject.run.records / question_name(subject.threat.name, eps)
    headers = []
    for path in parts.certificate_files(folder):
        with contextlib.suppress(FileNotFoundError):  # superseded by another part meanwhile
            headers.append(read(path)[0])
    own = [header for header in headers if header.get("network_sha256") == subject.checksum]
    return own[0].get("settings", {}).get("rungs", []) if own else []


def _carried(settings: Row) -> Callable[[Row, Row], Row | None]:
    """A function that carries over records of fewer rungs, with the same settings, to all of them.

    Examples that those rungs left unknown are open: without them, the others were a sample of
    successes.
    """

    def under_these(header: Row, row: Row) -> Row | None:
        before = dict(header["settings"])
        fewer = set(before.pop("rungs", ())) <= set(settings["rungs"])
        if not fewer or before != {name: settings.get(name) for name in before}:
            return None
        return {**row, OPEN: True} if row["verdict"] == "unknown" else row

    return under_these


def _begun(example: Row) -> Row:
    """The record of an example until its answer is there, which says that time ended before."""
    row = certificate(example, {})
    return {**row, "cause": "time"} if row["verdict"] == "unknown" else row


def _verdicts(rows: list[Row]) -> str:
    count = Counter(row["verdict"] for row in rows)
    return ", ".join(f"{count[verdict]:,} {verdict}" for verdict in VERDICTS)
