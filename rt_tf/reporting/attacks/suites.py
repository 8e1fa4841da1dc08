"""Suites of attacks as tables: attack by threat, with the worst case of each threat and of all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rt_tf.errors import UserError
from rt_tf.notes import read_notes
from rt_tf.records.consistency import require
from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row
from rt_tf.reporting import distributions, predicates, statistics
from rt_tf.reporting.attacks import methods
from rt_tf.reporting.attacks.warnings import masked

FIELDS = ("suite", "samples", "questions", "attacks", "warnings")


def suites(records_dir: str | Path, questions: Sequence[Question]) -> list[Row]:
    """The tables of all `suite-<name>.json` (`suites` in the report's schema), by name.

    Raises UserError for a file that is not a suite's, Inconsistent for one whose records are gone.
    """
    table = {question.name: question for question in questions}
    return [_suite(path, table) for path in sorted(Path(records_dir).glob("suite-*.json"))]


def _suite(path: Path, table: Mapping[str, Question]) -> Row:
    suite = _read(path)
    by_question = [
        (_find(path, table, name), suite["attacks"][name]) for name in suite["questions"]
    ]
    sample = _sample(by_question, suite["samples"])
    rows = {
        question.name: [row for row in question.rows if row["index"] in sample]
        for question, _ in by_question
    }
    everything = next(iter(rows.values()))
    of_attacks = [line for question, names in by_question for line in masked(question, names)]
    return {
        "suite": suite["suite"],
        "samples": suite["samples"],
        "warnings": list(dict.fromkeys([*suite["warnings"], *of_attacks])),
        "sample": statistics.sample(everything),
        "clean": statistics.share(everything, predicates.is_clean),
        "rows": [_row(q, name, rows[q.name]) for q, names in by_question for name in names],
        "minima": [_minimum(q, names, rows[q.name]) for q, names in by_question],
        "all": _worst([(names, rows[q.name]) for q, names in by_question]),
    }


def _read(path: Path) -> Row:
    try:
        suite = read_notes(path)
    except UserError as error:
        raise UserError(f"suite: {error}; delete the file") from error
    missing = [field for field in FIELDS if field not in suite]
    if missing or not suite["questions"] or not all(map(suite["attacks"].get, suite["questions"])):
        lacks = ", ".join(missing) or "questions with attacks"
        raise UserError(f"{path}: expected {lacks}; received none; delete the file")
    return suite


def _find(path: Path, table: Mapping[str, Question], name: str) -> Question:
    require(name in table, f"{path.name}: there are no records of {name}")
    return table[name]


def _sample(by_question: Sequence[tuple[Question, list[str]]], samples: int) -> set[int]:
    """The first `samples` (0: all) of the examples that all of a suite's attacks were tried on.

    The table has this one sample, so that no minimum exceeds a row that it is the minimum of.
    """
    common = set[int].intersection(
        *(_indices(question, name) for question, names in by_question for name in names)
    )
    return set(sorted(common)[: samples or None])


def _indices(question: Question, name: str) -> set[int]:
    """The indices of the examples that an attack was tried on."""
    require(name in question.attacks, f"{question.name}: there are no records of attack {name}")
    return {row["index"] for row in question.rows if name in row["attacks"]}


def _row(question: Question, name: str, rows: Sequence[Row]) -> Row:
    results = [row["attacks"][name] for row in rows]
    return {
        "question": question.name,
        "id": name,
        "name": methods.names(question.attacks)[name],
        "attacked": statistics.share(rows, _withstands([name])),
        "distance": distributions.distances(attack["distance"] for attack in results),
        "seconds": distributions.seconds(attack["seconds"] for attack in results),
    }


def _minimum(question: Question, names: Sequence[str], rows: Sequence[Row]) -> Row:
    return {
        "question": question.name,
        "threat": question.threat,
        "epsilon": question.eps,
        "attacked": statistics.share(rows, _withstands(names)),
    }


def _worst(by_question: Sequence[tuple[Sequence[str], Sequence[Row]]]) -> Row | None:
    """The rate of examples that withstand every attack of every question."""
    standing = [{r["index"] for r in rows if _withstands(names)(r)} for names, rows in by_question]
    return statistics.rate(len(set[int].intersection(*standing)), len(by_question[0][1]))


def _withstands(names: Sequence[str]) -> Callable[[Row], bool]:
    return lambda row: not any(row["attacks"][name]["success"] for name in names)
