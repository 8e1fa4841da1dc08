"""Record files of one table that several processes share: each process writes one part.

Of a table `attack-pgd`, `attack-pgd.jsonl` is the file of a process that works alone, and
`attack-pgd-1of4.jsonl` is that of the first of four parts: every fourth example, from the first on.
"""

import contextlib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rt_tf.errors import UserError
from rt_tf.files import write_bytes
from rt_tf.records.record_file import OPEN, RecordFile, Row, as_read_back, line, read, supersede

CERTIFY = "certify"  # the table of certificates
ENDING = re.compile(r"-([0-9]+)of([0-9]+)$")  # of the names of parts
Part = tuple[int, int]  # (k, n): the k-th of n, from 1 on


def name_of(part: Part | None) -> str:
    """The name of a part, such as `1of4`; "" without one."""
    return "{}of{}".format(*part) if part else ""


def places_of(part: Part | None, places: Sequence[int]) -> Sequence[int]:
    """The places of a part, every n-th from the k-th; all places without a part."""
    if part is None:
        return places
    k, n = part
    if k > len(places):
        raise UserError(
            f"slice: expected a part that has examples; received {k}/{n} of {len(places)} examples"
        )
    return places[k - 1 :: n]


def table_of(stem: str) -> str:
    """The table of a record file, by the file's name without its suffix."""
    return ENDING.sub("", stem)


def files(folder: Path, table: str) -> list[Path]:
    """The record files of a table: the whole table's, and parts, sorted."""
    return sorted(path for path in folder.glob("*.jsonl") if table_of(path.stem) == table)


def certificate_files(folder: Path) -> list[Path]:
    """The record files of a question's certificates."""
    return files(folder, CERTIFY)


def open_table(
    folder: Path,
    table: str,
    header: Mapping[str, Any],
    part: Part | None,
    again: Callable[[Row], bool] = lambda row: False,
    carried: Callable[[Row, Row], Row | None] = lambda header, row: None,
) -> RecordFile:
    """The record file of a table, or of one part of it, with the records that it has already.

    Examples that another part has answered count as done. again, carried: as in `RecordFile`.
    UserError for parts with other settings.
    """
    whole = folder / f"{table}.jsonl"
    path = folder / f"{table}-{name_of(part)}.jsonl" if part else whole
    others = [other for other in files(folder, table) if other not in (path, whole)]
    if not part:
        join(whole, header, others)
    done = done_elsewhere(header, others, whole, again) if part else set()
    records = RecordFile(path, header, again, carried)
    records.done |= done
    return records


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
    """The lines of several parts, in which an example has one line.

    Of two, it is that of an attack's success, or of a ladder that had more time.
    """
    latest: dict[int, Row] = {}
    for rows in tables:
        for row in rows:
            before = latest.get(row["index"], row)
            latest[row["index"]] = max(before, row, key=_settled)
    return list(latest.values())


def _settled(row: Row) -> tuple[bool, bool, bool, float]:
    """Whether a line has an answer, is a success and closed, and the time limit that it had."""
    answered, success = row.get("verdict") != "unknown", row.get("success", False)
    return answered, success, not row.get(OPEN), row.get("time_limit", math.inf)


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
