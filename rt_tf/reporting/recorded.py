"""A finished run's folder: its facts, history and records, read and checked together."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from rt_tf.errors import UserError
from rt_tf.notes import read_notes
from rt_tf.records.consistency import check_order, require
from rt_tf.records.merge import Question, load, question_name
from rt_tf.records.record_file import Row, read_lines
from rt_tf.reporting.inference import inferred
from rt_tf.reporting.radii import Table, tables


class Recorded(NamedTuple):
    """A run as its folder tells it.

    facts: of run.json. history: the rows of training, empty where the file was deleted. questions:
    sorted by threat and eps, with the certificates that larger balls imply. radii: the tables of
    certified radii, by file name.
    """

    facts: Row
    history: list[Row]
    questions: list[Question]
    radii: dict[str, Table]


def recorded(run_dir: str | Path) -> Recorded:
    """Reads a run's folder.

    Raises Inconsistent if records contradict each other or the run, or if any example breaks clean
    >= attacked >= certified; UserError for a history that lost lines.
    """
    run_dir = Path(run_dir)
    facts = read_notes(run_dir / "run.json")
    history = _history(run_dir / "history.jsonl", facts.get("history"))
    records = run_dir / "records"
    radii = tables(records)
    questions = inferred(load(records), radii.values())
    for question in questions:
        _check(question, facts)
    return Recorded(facts, history, questions, radii)


def own_question(run: Row, questions: Sequence[Question]) -> Question:
    """The question that a run was made for; UserError where it has no records."""
    flags = run["flags"]
    name = question_name(str(flags["threat"]), _number(flags["epsilon"]))
    for question in questions:
        if question.name == name:
            return question
    names = ", ".join(q.name for q in questions) or "none"
    raise UserError(
        f"report: expected records of {name}, the run's own question; there are {names}"
    )


def _number(value: Any) -> float:
    """The radius that a flag gives: 0.05, "0.05" or "8/255"."""
    return float(Fraction(value)) if isinstance(value, str) else float(value)


def _check(question: Question, run: Row) -> None:
    for name, header in question.headers.items():
        require(
            header["network_sha256"] == run["network_sha256"],
            f"{question.name}/{name} is of network {header['network_sha256'][:12]}, "
            f"the run of {run['network_sha256'][:12]}",
        )
    for row in question.rows:
        check_order(row, f"{question.name}, example {row['index']}")


def _history(path: Path, count: int | None) -> list[Row]:
    """The rows of the training's history; none where the file was deleted.

    count: of rows when training ended, None where the run does not note it. UserError for a file
    with another number of rows.
    """
    rows = read_lines(path)
    if path.exists() and count not in (None, len(rows)):
        raise UserError(
            f"report: expected {path} with the {count} lines that training wrote; it has "
            f"{len(rows)} whole ones; put it back as it was, or delete it to report without it"
        )
    return rows
