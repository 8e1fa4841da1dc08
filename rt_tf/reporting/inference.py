"""Inference from certificates to smaller balls: a certificate in a ball holds in all within it.

No other module infers certificates; tables, figures and texts count the rows that result.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from rt_tf.certification.cascade import is_of_member
from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row

Key = tuple[str, str, str]  # of an image under a threat: the threat, its settings, the image


def inferred(
    questions: Sequence[Question], radii: Iterable[tuple[Row, Sequence[Row]]]
) -> list[Question]:
    """The questions, where rows left unknown are certified by certificates in larger balls.

    An inferred row has the larger ball's eps as `inferred`. radii: header and lines of each file of
    certified radii, which are certificates, too. A row that no ladder was tried on stays as it is:
    with it, the sample would be one of successes. Nothing is inferred for a cascade: at a smaller
    radius another member may answer, or certify another label.
    """
    if any(_of_members(question) for question in questions):
        return list(questions)
    largest = _largest(questions, radii)
    return [
        dataclasses.replace(q, rows=[_concluded(q, row, largest) for row in q.rows])
        for q in questions
    ]


def full_threat(header: Row) -> tuple[str, str]:
    """The threat of a record's header, with all its settings: radii of a union, a domain."""
    settings = {key: header.get(key) for key in ("threat_settings", "domain")}
    return header["threat"], json.dumps(settings, sort_keys=True)


def full_threat_of(question: Question) -> tuple[str, str]:
    """The threat of a question, with all its settings."""
    return full_threat(next(iter(question.headers.values())))


def _of_members(question: Question) -> bool:
    """Whether a question's rungs are of the members of a cascade."""
    return any(is_of_member(rung) for row in question.rows for rung in row["rungs"])


def _largest(
    questions: Sequence[Question], radii: Iterable[tuple[Row, Sequence[Row]]]
) -> dict[Key, float]:
    """The largest radius that has a certificate of the label, by threat and image."""
    largest: dict[Key, float] = defaultdict(float)
    for question in questions:
        for row in question.rows:
            if row["verdict"] == "certified":
                key = (*full_threat_of(question), row["image"])
                largest[key] = max(largest[key], question.eps)
    for header, rows in radii:
        for row in rows:
            if row["prediction"] == row["label"]:
                key = (*full_threat(header), row["image"])
                largest[key] = max(largest[key], row["radius"])
    return largest


def _concluded(question: Question, row: Row, largest: Mapping[Key, float]) -> Row:
    eps = largest.get((*full_threat_of(question), row["image"]), 0.0)
    is_open = row["certificate"] is not None and row["verdict"] == "unknown"
    if not is_open or eps <= question.eps:
        return row
    return {**row, "verdict": "certified", "cause": None, "rung": None, "inferred": eps}
