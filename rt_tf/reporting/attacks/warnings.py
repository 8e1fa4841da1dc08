"""Warnings that attacks may be weaker than they seem: from the network, and from their results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from rt_tf.attacks.preflight import black_box_ahead
from rt_tf.catalogue.attacks import ATTACKS
from rt_tf.command_line import called
from rt_tf.errors import UserError
from rt_tf.notes import read_notes, write_notes
from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row
from rt_tf.reporting.attacks import methods

FILE = "attack-warnings.json"  # of the warnings on a run's network, among its records


def keep(records_dir: Path, network: str, warnings: Sequence[str]) -> None:
    """Stores the warnings on a network before it is attacked. network: its checksum."""
    notes = {"network_sha256": network, "warnings": list(warnings)}
    write_notes(records_dir / FILE, notes)


def stored(records_dir: Path, network: str) -> list[str]:
    """The stored warnings on a network; UserError for a file of other content.

    network: its checksum; warnings on another network do not count.
    """
    path = records_dir / FILE
    if not path.exists():
        return []
    try:
        notes = read_notes(path)
        warnings = [str(warning) for warning in notes["warnings"]]
        return warnings if notes["network_sha256"] == network else []
    except (UserError, KeyError, TypeError) as error:
        raise UserError(
            f"{path}: expected warnings of a network; received something else ({error}); delete "
            f"the file, and {called('evaluate')} writes it anew"
        ) from error


def masked(question: Question, names: Iterable[str] | None = None) -> list[str]:
    """A line if attacks without gradients break examples that withstand those with gradients.

    names: of the question's attacks that count; all by default.
    """
    chosen = set(question.attacks if names is None else names)
    blind = {name for name in chosen if _is_blind(name, question.attacks[name])}
    rows = [row for row in question.rows if chosen <= row["attacks"].keys()]
    left = [row for row in rows if not _falls(row, chosen - blind)]
    falling = sum(_falls(row, blind) for row in left)
    if not (blind and chosen - blind):
        return []
    return [f"{question.name}: {line}" for line in black_box_ahead(falling, len(left))]


def all_of(records_dir: Path, network: str, questions: Sequence[Question]) -> list[str]:
    """The warnings of a report: on the network, then on its questions' attacks."""
    of_attacks = [line for question in questions for line in masked(question)]
    return list(dict.fromkeys([*stored(records_dir, network), *of_attacks]))


def _is_blind(name: str, settings: Row) -> bool:
    """Whether an attack saw no gradients of the network, noise included."""
    entry = ATTACKS.get(settings["attack"])
    return methods.is_transfer(name) or (entry is not None and entry.black_box)


def _falls(row: Row, names: Iterable[str]) -> bool:
    return any(row["attacks"][name]["success"] for name in names)
