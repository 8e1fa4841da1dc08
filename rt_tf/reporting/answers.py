"""One question's part of the report: what certificates and attacks found."""

from __future__ import annotations

from rt_tf.domain import UNIT
from rt_tf.reporting import attacks, statistics
from rt_tf.reporting.record_file import Row
from rt_tf.reporting.records import Question


def answer(question: Question) -> Row:
    """A question's row of the report (`question` in its schema)."""
    rows = question.rows
    return {
        "name": question.name,
        "threat": question.threat,
        "epsilon": question.eps,
        "domain": next(iter(question.headers.values())).get("domain", UNIT.config()),
        **statistics.accuracies(rows),
        **statistics.weaker(rows),
        "common": statistics.common(rows),
        "outcomes": statistics.outcomes(rows),
        "certificate": _certificate(question),
        "attacks": [attacks.summary(question, name) for name in question.attacks],
        "classes": statistics.classes(rows),
        "margins": statistics.margins(rows),
    }


def _certificate(question: Question) -> Row | None:
    if "certify" not in question.headers:
        return None
    rows = [row for row in question.rows if statistics.is_asked(row)]
    return {
        "settings": question.headers["certify"]["settings"],
        "sample": statistics.sample(rows),
        "seconds": statistics.seconds(row["seconds"] for row in rows),
        "pace": statistics.pace(rows),
        "rungs": statistics.rungs(rows),
        "inferred": sum(map(statistics.is_inferred, rows)),
    }
