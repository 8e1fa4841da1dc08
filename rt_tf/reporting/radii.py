"""Certified radii on record, and what a report says of them.

`radius-<threat>.jsonl` has a header line, then a line an example:

    {"index", "image", "label", "prediction", "radius": the largest eps tried that has a certificate
     of the prediction (0: none), "rung": which certified it | null,
     "trials": [{"eps", "rung", "margin" | null, "certified", "cause" | null}], in the order tried,
     "counterexample_at": the distance of one on record, from which on nothing was tried | null,
     "seconds"}
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from rt_tf.domain import UNIT
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
from rt_tf.reporting import statistics

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
STEPS = 40  # of the curve, up to the largest eps
GROUPS = 100  # of the distribution, at most


def file_name(threat: str) -> str:
    """Where the radii of a threat are, among a run's records."""
    return f"radius-{threat}.jsonl"


Table = tuple[Row, list[Row]]  # a file's header and its lines


def tables(records_dir: str | Path) -> dict[str, Table]:
    """The files of certified radii by name. Raises Inconsistent where a line lacks something."""
    found = {}
    for path in sorted(Path(records_dir).glob(file_name("*"))):
        header, rows = read(path)
        check_fields(header, RADIUS_HEADER_FIELDS, f"{path.name}, header")
        for number, row in enumerate(rows, start=2):
            check_fields(row, RADIUS_FIELDS, f"{path.name}, line {number}")
        found[path.name] = header, rows
    return found


def radii(found: Mapping[str, Table], questions: Sequence[Question]) -> list[Row]:
    """The certified radii of `tables` (`radii` in the report's schema), by name.

    Raises Inconsistent where a line contradicts itself or what `questions` tell of the example:
    another prediction, or a counterexample within the radius.
    """
    for name, (header, rows) in found.items():
        _check_against(name, header, rows, questions)
    return [
        _summary(header, sorted(rows, key=lambda r: r["index"]), questions)
        for header, rows in found.values()
        if rows
    ]


def nearest(questions: Iterable[Question], header: Row) -> dict[int, float]:
    """By example, how far the nearest counterexample to a header's threat is, if there is one."""
    distances: dict[int, float] = {}
    for question in questions:
        for row in question.rows if _same_threat(question, header) else ():
            stored = [*row["attacks"].values(), row.get("counterexample") or {}]
            for distance in (told.get("distance") for told in stored):
                if distance is not None:
                    known = distances.get(row["index"], math.inf)
                    distances[row["index"]] = min(known, distance)
    return distances


def _same_threat(question: Question, header: Row) -> bool:
    """Whether both are of one threat, made with the same settings."""
    own = next(iter(question.headers.values()))
    made = [h.get("threat_settings", {}) for h in (own, header)]
    return question.threat == header["threat"] and made[0] == made[1]


def _check_against(
    name: str, header: Row, rows: Sequence[Row], questions: Sequence[Question]
) -> None:
    others = {q.name: next(iter(q.headers.values())) for q in questions}
    check_same({**others, name: header}, SAME_IN_RUN, name)
    known = {row["index"]: (q.name, row) for q in questions for row in q.rows}
    distances = nearest(questions, header)
    require(len({row["index"] for row in rows}) == len(rows), f"{name}: an example is twice there")
    for row in rows:
        where = f"{name}, example {row['index']}"
        other, same = known.get(row["index"], (name, row))
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
        "correct": statistics.distances(values[right]),
        "misclassified": statistics.distances(values[~right]),
        "trials": float(np.mean([len(row["trials"]) for row in rows])),
        "seconds": statistics.seconds(row["seconds"] for row in rows),
        "curve": _curve(rows, largest, _limits(rows, header, questions)),
        "distribution": _distribution(values, right),
    }


def _is_right(row: Row) -> bool:
    return bool(row["prediction"] == row["label"])


def _limits(rows: Sequence[Row], header: Row, questions: Sequence[Question]) -> list[float] | None:
    """Where each example is falsified for all that is known; None if none was attacked."""
    own = [q for q in questions if _same_threat(q, header)]
    attacked = {row["index"] for q in own for row in q.rows if statistics.is_attacked(row)}
    if attacked.isdisjoint(row["index"] for row in rows):
        return None
    distances = nearest(own, header)
    return [distances.get(row["index"], math.inf) if _is_right(row) else 0.0 for row in rows]


def _curve(rows: Sequence[Row], largest: float, limits: Sequence[float] | None) -> list[Row]:
    """Who is right and certified, and who is right and not falsified, at growing eps."""
    held = np.array([row["radius"] if _is_right(row) else -1.0 for row in rows])
    count = len(rows)
    return [
        {
            "epsilon": eps,
            "certified": statistics.rate(int((held >= eps).sum()), count),
            "attacked": limits and statistics.rate(sum(end > eps for end in limits), count),
        }
        for eps in (largest * (k / STEPS) for k in range(STEPS + 1))
    ]


def _distribution(values: np.ndarray, right: np.ndarray) -> list[Row]:
    """Examples by growing radius in groups of one size, or nearly."""
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
