"""Records of verdicts, attacks and radii of a subject's examples.

They are appended as they come, so that an evaluation that is killed goes on where it stopped.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from rt_tf.evaluation.method import Method
from rt_tf.evaluation.subject import Subject
from rt_tf.progress import Progress
from rt_tf.records import parts
from rt_tf.records.merge import question_name
from rt_tf.records.record_file import RecordFile, Row
from rt_tf.threats.region import Threat

CHUNK = 100
KEEP_EVERY = 0.5  # seconds, at most, that a record waits to be written
Radii = Sequence[tuple[float, int]]  # (eps, first examples of the test split; 0: all)


def record_missing(
    subject: Subject,
    records: RecordFile,
    places: Sequence[int],
    method: Method,
    progress: Progress,
) -> None:
    """Records, by a method, those examples at these places of the test split that have no record.

    Records are written as they come, or half a second later.
    """
    if records.superseded:
        name = records.superseded.name
        progress.say(f"{records.path} had records of other settings: they are in {name} now")
    left = [place for place in places if place not in records.done]
    status = _paced(len(records.answered), method)
    with progress.bar(method.title, len(places), len(places) - len(left)) as bar:
        for rows in _answers(subject, records, left, method, progress):
            records.append(rows)
            bar.advance(len(rows), status(records.answered))


def _answers(
    subject: Subject,
    records: RecordFile,
    left: Sequence[int],
    method: Method,
    progress: Progress,
) -> Iterator[list[Row]]:
    """Yields the records of the examples at the places left, by the subject's engine if it has one.

    They are begun before: in other processes all of them are open at once.
    """
    chunks = [np.array(left[begin : begin + CHUNK]) for begin in range(0, len(left), CHUNK)]
    for chunk in chunks:
        examples = subject.examples(chunk)
        begun = [method.begun(example) for example in examples]
        records.begin(row for row in begun if row is not None)
        if subject.engine is None:
            yield from _bundled(method.rows(chunk, examples))
    if subject.engine is not None:
        yield from subject.engine.answers(subject.threat, method.recipe, left, progress.say)


def _paced(before: int, method: Method) -> Callable[[list[Row]], str]:
    """A function of all records to a status with the images a second since now.

    before: the number of records that there are now.
    """
    began = time.monotonic()

    def status(rows: list[Row]) -> str:
        pace = (len(rows) - before) / max(time.monotonic() - began, 1e-3)
        return f"{method.status(rows)}; {pace:.3g} images/s"

    return status


def _bundled(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Yields the rows of each half second together; the last ones also on an interruption."""
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
    again: Callable[[Row], bool],
    carried: Callable[[Row, Row], Row | None],
) -> RecordFile:
    """The record file of verdicts by ladders at a radius, with the records that it has already.

    again, carried: as in `RecordFile`. UserError for parts with other settings.
    """
    header = {**headed(subject, "certify", parts.CERTIFY, settings), "eps": eps}
    folder = _folder(subject, eps)
    return parts.open_table(folder, parts.CERTIFY, header, subject.part, again, carried)


def attack_file(subject: Subject, eps: float, name: str, settings: Row) -> RecordFile:
    """The record file of an attack at a radius, with the records that it has already."""
    header = {**headed(subject, "attack", name, settings), "eps": eps}
    return parts.open_table(_folder(subject, eps), f"attack-{name}", header, subject.part)


def _folder(subject: Subject, eps: float) -> Path:
    return subject.records / question_name(subject.threat.name, eps)


def headed(subject: Subject, kind: str, name: str, settings: Row) -> Row:
    """The header of a record file, without a radius: the kind of its records, network, settings.

    name: of the method.
    """
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
    """The field of a header for a threat's settings, such as a union's radii; empty without any."""
    fields: Row = dataclasses.asdict(threat) if dataclasses.is_dataclass(threat) else {}
    settings = {name: value for name, value in fields.items() if value is not None}
    return {"threat_settings": settings} if settings else {}
