"""Truths about an example's merged row: clean, attacked, certified, inferred."""

from __future__ import annotations

from rt_tf.records.record_file import Row


def is_clean(row: Row) -> bool:
    """Whether an example is classified as its label without any perturbation."""
    return bool(row["correct"])


def is_attacked(row: Row) -> bool:
    """Whether an attack, or a ladder that searches for counterexamples, was tried on an example."""
    return bool(row["attacks"] or (row.get("searched") and is_asked(row)))


def withstands(row: Row) -> bool:
    """Whether an example is classified as its label at every point tried."""
    attacked = any(attack["success"] for attack in row["attacks"].values())
    return is_clean(row) and not attacked and not row.get("counterexample")


def is_asked(row: Row) -> bool:
    """Whether a certificate was tried on an example."""
    return row["certificate"] is not None


def is_certified(row: Row) -> bool:
    """Whether an example is proved to keep its label in the region, by this one or a larger one."""
    return is_asked(row) and (is_proved(row) or is_inferred(row))


def is_inferred(row: Row) -> bool:
    """Whether an example is certified only by a certificate in a larger region; see `inference`."""
    return row.get("inferred") is not None


def is_proved(row: Row) -> bool:
    """Whether an example's own certificate, not one in a larger region, was proved."""
    return bool(row["certificate"]["verdict"] == "certified")
