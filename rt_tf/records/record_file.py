"""Append-only JSONL files that survive a kill: a header line, then one line per example."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rt_tf.errors import UserError
from rt_tf.files import write_bytes

Row = dict[str, Any]
CHECKSUM = "checksum"  # the last field of a line: the checksum of the line without it
OPEN = "open"  # true in lines of examples without an answer under the file's header yet
SUMMED = re.compile(rb'(.*), "checksum": "([0-9a-f]{16})"\}\n', re.DOTALL)
DAMAGED = "expected a JSON object as it was written; it is damaged; delete the file"


class RecordFile:
    """One append-only JSONL file that goes on where it stopped, even after a kill.

    `rows` holds the lines so far, `done` the indices of examples that are answered. An example that
    was begun, or was tried by fewer rungs, has an open line, which its answer replaces: the records
    never depend on how a process ended. A last line cut short is dropped from the file, and lines
    without a checksum, of earlier versions, get theirs. A file with another header is kept as
    `<name>.superseded`; `superseded` holds that path, and the records start anew, or where an
    earlier superseded file of this header ended. again: whether a line's example is to be evaluated
    once more; its new line replaces the old one. carried: a function of another file's header and
    one of its lines, where only settings differ; the line that counts under this header, or None.
    """

    def __init__(
        self,
        path: str | Path,
        header: Mapping[str, Any],
        again: Callable[[Row], bool] = lambda row: False,
        carried: Callable[[Row, Row], Row | None] = lambda header, row: None,
    ) -> None:
        self.path = Path(path)
        self.header = as_read_back(header)
        self.superseded: Path | None = None
        self.rows: list[Row] = []
        self._resume(carried)
        self.done: set[int] = {row["index"] for row in self.answered if not again(row)}

    @property
    def answered(self) -> list[Row]:
        """The lines that are not open."""
        return [row for row in self.rows if not row.get(OPEN)]

    def begin(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Records examples without any line as open, durably."""
        recorded = {row["index"] for row in self.rows}
        begun = [{**row, OPEN: True} for row in rows if row["index"] not in recorded]
        if begun:
            data, lines = _encoded(begun)
            _append(self.path, data)
            self.rows += lines

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Records examples, durably: whole lines or, on an OSError such as a full disk, none.

        ValueError for NaN or infinity (write null and the cause "error") and for an example
        recorded before.
        """
        data, new = _encoded(rows)
        indices = {row["index"] for row in new}
        again = self.done.intersection(indices)
        if again or len(indices) < len(new):
            twice = sorted(again) or [row["index"] for row in new]
            raise ValueError(f"{self.path}: examples recorded twice: {twice}")
        others = [row for row in self.rows if row["index"] not in indices]
        if any(row["index"] in indices for row in self.answered):
            write_bytes(self.path, b"".join(map(line, [self.header, *others, *new])))
        else:
            _append(self.path, data)
        self.rows = others + new
        self.done.update(indices)

    def _resume(self, carried: Callable[[Row, Row], Row | None]) -> None:
        header, rows, whole = _parse(self.path) if self.path.exists() else (None, [], True)
        if header == self.header:
            self.rows = rows
            if not whole:
                write_bytes(self.path, b"".join(map(line, [self.header, *rows])))
            return
        if header is not None:
            rows = self._taken_over(header, rows, carried)
            self.superseded = supersede(self.path)
        before = self._before()
        answered = {row["index"] for row in before if not row.get(OPEN)}
        self.rows = _latest([*before, *(row for row in rows if row["index"] not in answered)])
        write_bytes(self.path, b"".join(map(line, [self.header, *self.rows])))

    def _taken_over(
        self, header: Row, rows: list[Row], carried: Callable[[Row, Row], Row | None]
    ) -> list[Row]:
        """The lines of another file that count under this header, if only settings differ."""
        if {**header, "settings": None} != {**self.header, "settings": None}:
            return []
        return [line_here for row in rows if (line_here := carried(header, row)) is not None]

    def _before(self) -> list[Row]:
        """The lines of the superseded file that has this header, if there is one."""
        for path in sorted(self.path.parent.glob(f"{self.path.name}.superseded*")):
            header, rows, _ = _parse(path)
            if header == self.header:
                return rows
        return []


def as_read_back(header: Mapping[str, Any]) -> Row:
    """A header with the values that it has once it is written to a file and read from there."""
    return json.loads(json.dumps({"header": True, **header}, allow_nan=False, default=_plain))


def supersede(path: Path) -> Path:
    """Moves a record file to a free `.superseded` name, and returns that path.

    A superseded file of the same header gives way.
    """
    header, number = _parse(path)[0], 1
    target = path.with_name(f"{path.name}.superseded")
    while target.exists() and _parse(target)[0] != header:
        number += 1
        target = path.with_name(f"{path.name}.superseded-{number}")
    path.replace(target)
    return target


def read(path: str | Path) -> tuple[Row, list[Row]]:
    """The header and the whole lines of a record file, which stays untouched.

    UserError for an empty or damaged file.
    """
    header, rows, _ = _parse(Path(path))
    if header is None:
        raise UserError(f"{path}: expected a header line, received an empty file; delete it")
    return header, rows


def read_lines(path: str | Path) -> list[Row]:
    """The objects of a JSONL file, without a last line cut short; [] if there is no file."""
    path = Path(path)
    return _lines(path)[0] if path.exists() else []


def line(row: Mapping[str, Any], finite: bool = True) -> bytes:
    """A row as one line of JSON with its checksum.

    finite: whether NaN and infinity raise ValueError.
    """
    text = json.dumps(row, allow_nan=not finite, default=_plain).encode()
    return b'%s, "checksum": "%s"}\n' % (text[:-1], _checksum(text))


def _encoded(rows: Iterable[Mapping[str, Any]]) -> tuple[bytes, list[Row]]:
    """Rows as the lines of a file, and the rows that reading these lines gives."""
    data = b"".join(map(line, rows))
    return data, [_without_checksum(json.loads(text)) for text in data.splitlines()]


def _plain(value: Any) -> Any:
    """A NumPy scalar as Python's number."""
    if hasattr(value, "item"):
        return value.item()
    raise TypeError(f"{type(value).__name__} is not JSON: {value!r}")


def _append(path: Path, data: bytes) -> None:
    size = path.stat().st_size
    try:
        with path.open("ab") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.truncate(path, size)
        raise


def _parse(path: Path) -> tuple[Row | None, list[Row], bool]:
    """The header, the rows, and whether the file's text is whole and checksummed."""
    lines, whole = _lines(path)
    if lines and not lines[0].get("header"):
        raise UserError(f"{path}: expected a header in line 1, received a record; delete the file")
    for number, row in enumerate(lines[1:], start=2):
        if not isinstance(row.get("index"), int):
            raise UserError(f"{path}: line {number}: expected an example's index; delete the file")
    return (lines[0], _latest(lines[1:]), whole) if lines else (None, [], whole)


def _latest(rows: list[Row]) -> list[Row]:
    """The rows, except open ones whose examples have another row.

    Of several open rows of an example without an answer, the last one stays.
    """
    places = {row["index"]: place for place, row in enumerate(rows)}
    places |= {row["index"]: place for place, row in enumerate(rows) if not row.get(OPEN)}
    return [r for place, r in enumerate(rows) if not r.get(OPEN) or places[r["index"]] == place]


def _lines(path: Path) -> tuple[list[Row], bool]:
    """All rows but a last line cut short, and whether no line was cut and all have checksums."""
    raw = path.read_bytes().splitlines(keepends=True)
    cut = bool(raw) and not raw[-1].endswith(b"\n")
    rows = [_row(text, f"{path}: line {n}") for n, text in enumerate(raw[: len(raw) - cut], 1)]
    bare = [number for number, row in enumerate(rows, start=1) if CHECKSUM not in row]
    if 0 < len(bare) < len(rows):
        raise UserError(f"{path}: line {bare[0]}: {DAMAGED}")
    return [_without_checksum(row) for row in rows], not (cut or bare)


def _row(text: bytes, where: str) -> Row:
    """A line's object; UserError if the line is damaged."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise UserError(f"{where}: {DAMAGED}") from error
    whole = isinstance(value, dict)
    if whole and CHECKSUM in value:
        parts = SUMMED.fullmatch(text)
        whole = parts is not None and parts[2] == _checksum(parts[1] + b"}")
    if not whole:
        raise UserError(f"{where}: {DAMAGED}")
    return value


def _without_checksum(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != CHECKSUM}


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:16].encode()
