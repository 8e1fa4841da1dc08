"""Record files of one table that several processes share: each process writes one part."""

import contextlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rt_tf.errors import UserError
from rt_tf.files import write_bytes
from rt_tf.records.record_file import OPEN, Row, as_read_back, line, read, supersede


def certificate_files(folder: Path) -> list[Path]:
    """The record files of a question's certificates: the whole table's, and parts, sorted."""
    return sorted(folder.glob("certify*.jsonl"))


def join(path: Path, header: Mapping[str, Any], parts: Sequence[Path]) -> None:
    """Moves the lines of parts into the table's one file, for a process that works alone.

    Parts with another header are superseded.
    """
    if not parts:
        return
    header = as_read_back(header)
    tables, taken = [], []
    for part in [*([path] if path.exists() else []), *parts]:
        part_header, rows = read(part)
        if part_header == header:
            taken.append(part)
            tables.append(rows)
        elif part != path:
            supersede(part)
    if any(part != path for part in taken):
        write_bytes(path, b"".join(map(line, [header, *union(tables)])))
    for part in taken:
        if part != path:
            part.unlink()


def union(tables: Iterable[Sequence[Row]]) -> list[Row]:
    """The lines of several parts; of two lines of one example, the one that had more time."""
    latest: dict[int, Row] = {}
    for rows in tables:
        for row in rows:
            before = latest.get(row["index"], row)
            latest[row["index"]] = max(before, row, key=_settled)
    return list(latest.values())


def _settled(row: Row) -> tuple[bool, bool, float]:
    """Whether a line has an answer, whether it is closed, and the time limit that it had."""
    return row["verdict"] != "unknown", not row.get(OPEN), row.get("time_limit", math.inf)


def done_elsewhere(
    header: Mapping[str, Any], parts: Iterable[Path], whole: Path, again: Callable[[Row], bool]
) -> set[int]:
    """The indices of examples with a closed line in other parts or in the whole table's file.

    again: whether a line's example is to be evaluated once more. UserError for a part with another
    header: a process may be at work on it. The whole table's file is superseded then.
    """
    header, done = as_read_back(header), set()
    for part in [*parts, whole]:
        with contextlib.suppress(FileNotFoundError):  # superseded by another part meanwhile
            part_header, rows = read(part)
            if part_header == header:
                done |= {row["index"] for row in rows if not (row.get(OPEN) or again(row))}
            elif part == whole:
                supersede(part)
            else:
                raise UserError(
                    f"slice: expected the settings of the other parts; those of {part.name} "
                    "differ; without --slice, the command supersedes them"
                )
    return done
