"""Records of what is found of a subject's examples at a radius.

They are appended chunk by chunk, so that an evaluation that is killed goes on where it stopped.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from rt_tf.evaluation.progress import Progress
from rt_tf.evaluation.subject import Subject
from rt_tf.records import parts
from rt_tf.records.merge import question_name
from rt_tf.records.record_file import RecordFile, Row
from rt_tf.threats.region import Threat

CHUNK = 100
KEEP_EVERY = 0.5  # seconds, at most, that a record waits to be written
Radii = Sequence[tuple[float, int]]  # (eps, first examples of the test split; 0: all)


class Method(Protocol):
    """What finds something of examples, such as a ladder their verdicts at a radius."""

    @property
    def title(self) -> str:
        """What is done, in a few words."""

    def rows(self, places: np.ndarray, examples: list[Row]) -> Iterable[Row]:
        """Records of the examples at places [n], each as soon as it is there, in any order."""

    def begun(self, example: Row) -> Row | None:
        """The record of an example until it has one, if it needs one.

        It does where records come in another order than their examples: those that are there, when
        a process is killed, would else be the easy ones.
        """

    def status(self, rows: list[Row]) -> str:
        """What is known of all records, in a few words."""


def record_missing(
    subject: Subject,
    records: RecordFile,
    places: Sequence[int],
    method: Method,
    progress: Progress,
) -> None:
    """Finds what is not yet on record of the examples at these places in the test split.

    Records are written as they come, or half a second later.
    """
    if records.superseded:
        progress.say(f"{records.path} was of other settings: kept as {records.superseded.name}")
    left = [place for place in places if place not in records.done]
    status = _paced(len(records.answered), method)
    with progress.bar(method.title, len(places), len(places) - len(left)) as bar:
        for begin in range(0, len(left), CHUNK):
            chunk = np.array(left[begin : begin + CHUNK])
            examples = subject.examples(chunk)
            begun = [method.begun(example) for example in examples]
            records.begin(row for row in begun if row is not None)
            for rows in _bundled(method.rows(chunk, examples)):
                records.append(rows)
                bar.advance(len(rows), status(records.answered))


def _paced(before: int, method: Method) -> Callable[[list[Row]], str]:
    """A status with how many images a second there were since now, when there were `before`."""
    began = time.monotonic()

    def status(rows: list[Row]) -> str:
        pace = (len(rows) - before) / max(time.monotonic() - began, 1e-3)
        return f"{method.status(rows)}; {pace:.3g} images/s"

    return status


def _bundled(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Rows that come within half a second together; the last ones also if there is an interrupt."""
    waiting: list[Row] = []
    began = time.monotonic()
    try:
        for row in rows:
            waiting.append(row)
            if time.monotonic() - began > KEEP_EVERY:
                bundle, waiting = waiting, []
                yield bundle
                began = time.monotonic()
    finally:
        if waiting:
            yield waiting


def certificate_file(
    subject: Subject,
    eps: float,
    settings: Row,
    part: str,
    again: Callable[[Row], bool],
    carried: Callable[[Row, Row], Row | None],
) -> RecordFile:
    """Where verdicts by ladders at a radius are kept; those that are there are taken up.

    part: of several processes that share the examples, which one this is, `1of4`, or "". again,
    carried: as in `RecordFile`.
    """
    folder = _folder(subject, eps)
    header = {**headed(subject, "certify", "certify", settings), "eps": eps}
    whole = folder / "certify.jsonl"
    path = folder / f"certify-{part}.jsonl" if part else whole
    others = [other for other in sorted(folder.glob("certify-*.jsonl")) if other != path]
    if not part:
        parts.join(whole, header, others)
    done = parts.done_elsewhere(header, others, whole, again) if part else set()
    records = RecordFile(path, header, again, carried)
    records.done |= done
    return records


def attack_file(subject: Subject, eps: float, name: str, settings: Row) -> RecordFile:
    """Where outcomes of an attack at a radius are kept; those that are there are taken up."""
    header = {**headed(subject, "attack", name, settings), "eps": eps}
    return RecordFile(_folder(subject, eps) / f"attack-{name}.jsonl", header)


def _folder(subject: Subject, eps: float) -> Path:
    return subject.records / question_name(subject.threat.name, eps)


def headed(subject: Subject, kind: str, name: str, settings: Row) -> Row:
    """What the header of any record file says: what was found, of which network, by what method."""
    return {
        "kind": kind,
        "id": name,
        "threat": subject.threat.name,
        **_threat_settings(subject.threat),
        "split": subject.test.name,
        "domain": subject.wiring.domain.config(),
        "network_sha256": subject.checksum,
        "settings": settings,
    }


def _threat_settings(threat: Threat) -> Row:
    """What a threat is made with, such as a union's radii, if it is with anything."""
    fields: Row = dataclasses.asdict(threat) if dataclasses.is_dataclass(threat) else {}
    settings = {name: value for name, value in fields.items() if value is not None}
    return {"threat_settings": settings} if settings else {}
