"""A file of the results of a check, a line each, from which the same command goes on."""

import hashlib
import json
from pathlib import Path
from typing import Any, NamedTuple

from rt_tf.errors import UserError

PROOFS, NETWORK = "proofs.npz", "network.npz"  # the files of a run, or of an export
FIELDS = {"proofs": str, "example": int, "rung": str, "holds": bool, "why": str, "seconds": float}


class Checked(NamedTuple):
    """The result of the check of a certificate: whether it holds, why not, and the seconds."""

    example: int
    rung: str
    holds: bool
    why: str
    seconds: float


class Results:
    """A file of lines of JSON; without a path nothing is kept. UserError for other files."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.rows = _rows(path) if path and path.exists() else []

    def of(self, proofs: str) -> dict[int, Checked]:
        """The results on a file of proofs, by example. proofs: the file's checksum."""
        rows = (row for row in self.rows if row["proofs"] == proofs)
        return {row["example"]: Checked(*(row[name] for name in Checked._fields)) for row in rows}

    def keep(self, proofs: str, result: Checked) -> None:
        """Adds a line at once."""
        if self.path is None:
            return
        line = json.dumps({"proofs": proofs, **result._asdict()})
        try:
            with self.path.open("a") as file:
                file.write(f"{line}\n")
        except OSError as error:
            raise UserError(
                f"results: expected a file that can be written; {self.path}: {error}"
            ) from error


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _rows(path: Path) -> list[dict[str, Any]]:
    """All whole lines; the rest of an interrupted write is cut off."""
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"results: expected a file of this command; {path}: {error}") from error
    whole = text[: text.rfind("\n") + 1]
    rows = [_row(line, f"line {i} of {path}") for i, line in enumerate(whole.splitlines(), 1)]
    if len(whole) < len(text):
        path.write_text(whole)
    return rows


def _row(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise UserError(f"results: expected JSON; received {where}: {error}") from error
    if not isinstance(row, dict) or {n: type(v) for n, v in row.items()} != FIELDS:
        raise UserError(f"results: expected the fields {', '.join(FIELDS)}; received {where}")
    return row
