"""Counts of a question's merged rows: by outcome, and by rung of the ladder."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from rt_tf.records.record_file import Row
from rt_tf.reporting.predicates import is_certified

CAUSES = ("loose", "time", "memory", "infinite", "incomplete", "error")


def outcomes(rows: Sequence[Row]) -> Row:
    """The number of examples by outcome; the counts add up to the number of rows."""
    count = Counter(row["cause"] if row["verdict"] != "certified" else "certified" for row in rows)
    names = ("certified", *CAUSES, "not_asked", "attack", "misclassified")
    return {name: count.pop(name, 0) for name in names} | dict(count)


def rungs(rows: Sequence[Row]) -> list[Row]:
    """The counts of each rung: tried, certified, credited, unknown by cause; and its seconds.

    Bounds that hold with a probability only are counted as probable, those that rest on a solver's
    word as trusted; neither certifies anything.

    Several rungs may certify one example; the one named in its verdict gets the credit.
    """
    names = dict.fromkeys(name for row in rows for name in row["rungs"])
    return [_rung(name, [row for row in rows if name in row["rungs"]]) for name in names]


def _rung(name: str, rows: Sequence[Row]) -> Row:
    count = Counter(_rung_outcome(row["rungs"][name], row) for row in rows)
    seconds = sum(row["rungs"][name].get("seconds") or 0.0 for row in rows)
    counts = {key: count[key] for key in ("certified", "falsified", "probable", "trusted", *CAUSES)}
    credited = sum(is_certified(row) and row["rung"] == name for row in rows)
    return {"rung": name, "tried": len(rows), "credited": credited, **counts, "seconds": seconds}


def _rung_outcome(rung: Row, row: Row) -> str:
    """A rung's verdict, or its cause if unknown; without a margin there was no bound at all."""
    if rung["verdict"] != "unknown":
        return str(rung["verdict"])
    if rung.get("cause") in CAUSES:
        return str(rung["cause"])
    if rung["margin"] is not None:
        return "loose"
    return "time" if row["certificate"]["cause"] == "time" else "error"
