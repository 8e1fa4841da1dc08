"""What certificates say of smaller balls: where one holds in a ball, it holds in all within it.

This is the one place where that is concluded; tables, figures and texts count what it leaves.
"""

from __future__ import annotations

import dataclasses
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from rt_tf.certification.cascade import is_of_member
from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row

Key = tuple[str, str, str]  # of an image under a threat: the threat, as it is made, and the image


def inferred(
    questions: Sequence[Question], radii: Iterable[tuple[Row, Sequence[Row]]]
) -> list[Question]:
    """The questions; what a rung left unknown is certified by a certificate in a larger ball.

    Such a row has the larger ball's eps as `inferred`. radii: header and lines of each file of
    certified radii, which are certificates, too. An image that no certificate was asked for at a
    radius stays so: counted, it would make the sample one of successes. Of a cascade nothing is
    inferred: at a smaller radius another member may answer, or certify another label.
    """
    if any(_of_members(question) for question in questions):
        return list(questions)
    largest = _largest(questions, radii)
    return [
        dataclasses.replace(q, rows=[_concluded(q, row, largest) for row in q.rows])
        for q in questions
    ]


def made(header: Row) -> tuple[str, str]:
    """The threat of a record's header and all that it is made with: radii of a union, a domain."""
    settings = {key: header.get(key) for key in ("threat_settings", "domain")}
    return header["threat"], json.dumps(settings, sort_keys=True)


def made_of(question: Question) -> tuple[str, str]:
    """The same of a question."""
    return made(next(iter(question.headers.values())))


def _of_members(question: Question) -> bool:
    """Whether rungs were asked of the members of a cascade."""
    return any(is_of_member(rung) for row in question.rows for rung in row["rungs"])


def _largest(
    questions: Sequence[Question], radii: Iterable[tuple[Row, Sequence[Row]]]
) -> dict[Key, float]:
    """By threat and image, the largest radius that has a certificate of the label."""
    found: dict[Key, float] = defaultdict(float)
    for question in questions:
        for row in question.rows:
            if row["verdict"] == "certified":
                key = (*made_of(question), row["image"])
                found[key] = max(found[key], question.eps)
    for header, rows in radii:
        for row in rows:
            if row["prediction"] == row["label"]:
                key = (*made(header), row["image"])
                found[key] = max(found[key], row["radius"])
    return found


def _concluded(question: Question, row: Row, largest: Mapping[Key, float]) -> Row:
    eps = largest.get((*made_of(question), row["image"]), 0.0)
    asked = row["certificate"] is not None and row["verdict"] == "unknown"
    if not asked or eps <= question.eps:
        return row
    return {**row, "verdict": "certified", "cause": None, "rung": None, "inferred": eps}
