"""Certified radii: their records, and their part of a report.

`radius-<threat>.jsonl`, or its parts, have a header line, then a line an example:

    {"index", "image", "label", "prediction", "radius": the largest eps tried that has a certificate
     of the prediction (0: none), "rung": the one that certified it | null,
     "trials": [{"eps", "rung", "margin" | null, "certified", "cause" | null}], in the order tried,
     "counterexample_at": the distance of one on record, the limit of all trials | null,
     "seconds"}
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rt_tf.domain import UNIT
from rt_tf.records import parts
from rt_tf.records.consistency import (
    RADIUS_FIELDS,
    RADIUS_HEADER_FIELDS,
    SAME_EXAMPLE,
    SAME_IN_RUN,
    check_fields,
    check_radius,
    check_same,
    require,
)
from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row, read
from rt_tf.reporting import distributions, predicates, statistics

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
STEPS = 40  # of the curve, up to the largest eps
GROUPS = 100  # of the distribution, at most


def table_name(threat: str) -> str:
    """The name of the table of a threat's radii, among a run's records."""
    return f"radius-{threat}"


Table = tuple[Row, list[Row]]  # a file's header and its lines


def tables(records_dir: str | Path) -> dict[str, Table]:
    """The tables of certified radii by name. Raises Inconsistent where a line lacks a field."""
    by_name: dict[str, Table] = {}
    for path in sorted(Path(records_dir).glob(table_name("*.jsonl"))):
        header, rows = _checked(path)
        name = f"{parts.table_of(path.stem)}.jsonl"
        before, others = by_name.get(name, (header, []))
        require(before == header, f"{path.name}: its header differs from another part's")
        by_name[name] = header, parts.union([others, rows])
    return by_name


def _checked(path: Path) -> Table:
    """The table of one file, whose lines have all fields."""
    header, rows = read(path)
    check_fields(header, RADIUS_HEADER_FIELDS, f"{path.name}, header")
    for number, row in enumerate(rows, start=2):
        check_fields(row, RADIUS_FIELDS, f"{path.name}, line {number}")
    return header, rows


def radii(by_name: Mapping[str, Table], questions: Sequence[Question]) -> list[Row]:
    """The summaries of certified radii (`radii` in the report's schema), by name.

    by_name: from `tables`. Raises Inconsistent where a line contradicts itself or the questions'
    records of the example: another prediction, or a counterexample within the radius.
    """
    for name, (header, rows) in by_name.items():
        _check_against(name, header, rows, questions)
    return [
        _summary(header, sorted(rows, key=lambda r: r["index"]), questions)
        for header, rows in by_name.values()
        if rows
    ]


def nearest(questions: Iterable[Question], header: Row) -> dict[int, float]:
    """The distance of the nearest counterexample to a header's threat, by example."""
    distances: dict[int, float] = {}
    for question in questions:
        for row in question.rows if _same_threat(question, header) else ():
            stored = [*row["attacks"].values(), row.get("counterexample") or {}]
            for distance in (attack.get("distance") for attack in stored):
                if distance is not None:
                    before = distances.get(row["index"], math.inf)
                    distances[row["index"]] = min(before, distance)
    return distances


def _same_threat(question: Question, header: Row) -> bool:
    """Whether a question and a header are of one threat with the same settings."""
    first = next(iter(question.headers.values()))
    settings = [h.get("threat_settings", {}) for h in (first, header)]
    return question.threat == header["threat"] and settings[0] == settings[1]


def _check_against(
    name: str, header: Row, rows: Sequence[Row], questions: Sequence[Question]
) -> None:
    others = {q.name: next(iter(q.headers.values())) for q in questions}
    check_same({**others, name: header}, SAME_IN_RUN, name)
    recorded = {row["index"]: (q.name, row) for q in questions for row in q.rows}
    distances = nearest(questions, header)
    require(
        len({row["index"] for row in rows}) == len(rows), f"{name}: an example is recorded twice"
    )
    for row in rows:
        where = f"{name}, example {row['index']}"
        other, same = recorded.get(row["index"], (name, row))
        check_same({other: same, name: row}, SAME_EXAMPLE, where)
        check_radius(row, distances.get(row["index"]), where)


def _summary(header: Row, rows: Sequence[Row], questions: Sequence[Question]) -> Row:
    values = np.array([row["radius"] for row in rows])
    right = np.array([_is_right(row) for row in rows])
    largest = header["settings"]["largest"]
    credited = Counter(row["rung"] for row in rows)
    return {
        "threat": header["threat"],
        "domain": header.get("domain", UNIT.config()),
        "settings": header["settings"],
        "rungs": {rung: credited[rung] for rung in header["settings"]["rungs"]},
        "largest": largest,
        "sample": statistics.sample(rows),
        "clean": statistics.share(rows, _is_right),
        "at_largest": statistics.share(rows, lambda row: row["radius"] >= largest),
        "quantiles": {f"{q:g}": float(np.quantile(values, q)) for q in QUANTILES},
        "correct": distributions.distances(values[right]),
        "misclassified": distributions.distances(values[~right]),
        "trials": float(np.mean([len(row["trials"]) for row in rows])),
        "seconds": distributions.seconds(row["seconds"] for row in rows),
        "curve": _curve(rows, largest, _limits(rows, header, questions)),
        "distribution": _distribution(values, right),
    }


def _is_right(row: Row) -> bool:
    return bool(row["prediction"] == row["label"])


def _limits(rows: Sequence[Row], header: Row, questions: Sequence[Question]) -> list[float] | None:
    """The distance at which each example is falsified by attacks; None without attacks."""
    of_threat = [q for q in questions if _same_threat(q, header)]
    attacked = {row["index"] for q in of_threat for row in q.rows if predicates.is_attacked(row)}
    if attacked.isdisjoint(row["index"] for row in rows):
        return None
    distances = nearest(of_threat, header)
    return [distances.get(row["index"], math.inf) if _is_right(row) else 0.0 for row in rows]


def _curve(rows: Sequence[Row], largest: float, limits: Sequence[float] | None) -> list[Row]:
    """The rates at growing eps of images right and certified, and right and not falsified."""
    certified = np.array([row["radius"] if _is_right(row) else -1.0 for row in rows])
    count = len(rows)
    return [
        {
            "epsilon": eps,
            "certified": statistics.rate(int((certified >= eps).sum()), count),
            "attacked": limits and statistics.rate(sum(end > eps for end in limits), count),
        }
        for eps in (largest * (k / STEPS) for k in range(STEPS + 1))
    ]


def _distribution(values: np.ndarray, right: np.ndarray) -> list[Row]:
    """The examples by growing radius, in groups of nearly one size."""
    order = np.argsort(values, kind="stable")
    groups = np.array_split(order, min(GROUPS, len(order)))
    return [
        {
            "n": len(group),
            "correct": float(right[group].mean()),
            "median": float(np.median(values[group])),
        }
        for group in groups
    ]
