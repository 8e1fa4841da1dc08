"""Append-only JSONL files that survive a kill: a header line, then one line per example."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from rt_tf.errors import UserError
from rt_tf.files import write_bytes

Row = dict[str, Any]


class RecordFile:
    """One append-only JSONL file that goes on where it stopped, even after a kill.

    `done` holds the indices recorded so far, `rows` their lines. A last line cut short is dropped
    from the file. A file with another header is not mixed with: it is kept as `<name>.superseded`,
    `superseded` holds that path, and the records start anew, or where an earlier superseded file of
    this header ended.
    again: lines whose examples are to be asked once more; a new line replaces the old one. carried:
    which lines of a file with another header, its first argument, count under this one, too.
    """

    def __init__(
        self,
        path: str | Path,
        header: Mapping[str, Any],
        again: Callable[[Row], bool] = lambda row: False,
        carried: Callable[[Row, Row], bool] = lambda header, row: False,
    ) -> None:
        self.path = Path(path)
        self.header = written(header)
        self.superseded: Path | None = None
        self.rows: list[Row] = []
        self._resume(carried)
        self.done: set[int] = {row["index"] for row in self.rows if not again(row)}

    def append(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Record examples, durably: whole lines or, on an OSError such as a full disk, none.

        ValueError for NaN or infinity (write null and the cause "error") and for an example
        recorded before.
        """
        data = b"".join(map(line, rows))
        new = [json.loads(text) for text in data.splitlines()]
        indices = [row["index"] for row in new]
        again = self.done.intersection(indices)
        if again or len(set(indices)) < len(indices):
            raise ValueError(f"{self.path}: examples recorded twice: {sorted(again) or indices}")
        others = [row for row in self.rows if row["index"] not in indices]
        if len(others) < len(self.rows):
            write_bytes(self.path, b"".join(map(line, [self.header, *others, *new])))
        else:
            _append(self.path, data)
        self.rows = others + new
        self.done.update(indices)

    def _resume(self, carried: Callable[[Row, Row], bool]) -> None:
        header, rows, whole = _parse(self.path) if self.path.exists() else (None, [], None)
        if header == self.header:
            self.rows = rows
            if whole is not None:
                write_bytes(self.path, whole)
            return
        if header is not None:
            rows = [row for row in rows if carried(header, row)]
            self.superseded = supersede(self.path)
        before = self._before()
        known = {row["index"] for row in before}
        self.rows = before + [row for row in rows if row["index"] not in known]
        write_bytes(self.path, b"".join(map(line, [self.header, *self.rows])))

    def _before(self) -> list[Row]:
        """The lines of the superseded file that has this header, if there is one."""
        for path in sorted(self.path.parent.glob(f"{self.path.name}.superseded*")):
            header, rows, _ = _parse(path)
            if header == self.header:
                return rows
        return []


def written(header: Mapping[str, Any]) -> Row:
    """A header as a file has it."""
    return json.loads(line({"header": True, **header}))


def supersede(path: Path) -> Path:
    """Keeps a file under a name that is free; a file of its header gives way. The name."""
    header, number = _parse(path)[0], 1
    kept = path.with_name(f"{path.name}.superseded")
    while kept.exists() and _parse(kept)[0] != header:
        number += 1
        kept = path.with_name(f"{path.name}.superseded-{number}")
    path.replace(kept)
    return kept


def read(path: str | Path) -> tuple[Row, list[Row]]:
    """The header and the whole lines of a record file; the file is not touched."""
    header, rows, _ = _parse(Path(path))
    if header is None:
        raise UserError(f"{path}: expected a header line, received an empty file; delete it")
    return header, rows


def read_lines(path: str | Path) -> list[Row]:
    """The objects of a JSONL file, without a last line cut short; [] if there is no file."""
    path = Path(path)
    return _lines(path)[0] if path.exists() else []


def line(row: Mapping[str, Any]) -> bytes:
    """A row as one line of strict JSON; ValueError for NaN and infinity."""
    return (json.dumps(row, allow_nan=False, default=_plain) + "\n").encode()


def _plain(value: Any) -> Any:
    """NumPy scalars as Python's own."""
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


def _parse(path: Path) -> tuple[Row | None, list[Row], bytes | None]:
    """Header, rows, and the bytes the file should have instead if its last line is broken."""
    lines, whole = _lines(path)
    if lines and not lines[0].get("header"):
        raise UserError(f"{path}: expected a header in line 1, received a record; delete the file")
    for number, row in enumerate(lines[1:], start=2):
        if not isinstance(row.get("index"), int):
            raise UserError(f"{path}: line {number}: expected an example's index; delete the file")
    return (lines[0], lines[1:], whole) if lines else (None, [], whole)


def _lines(path: Path) -> tuple[list[Row], bytes | None]:
    """All rows but a last line cut short, and the bytes without that line if there is one."""
    data = path.read_bytes()
    raw = data.splitlines(keepends=True)
    rows: list[Row] = []
    for number, text in enumerate(raw, start=1):
        try:
            rows.append(_object(text))
        except ValueError as error:
            if number < len(raw):
                expected = "expected a JSON object with a line end"
                raise UserError(f"{path}: line {number}: {expected}; delete the file") from error
            return rows, data[: len(data) - len(text)]
    return rows, None


def _object(text: bytes) -> Row:
    value = json.loads(text)
    if not isinstance(value, dict) or not text.endswith(b"\n"):
        raise ValueError("not a whole line")
    return value
