"""Record files of one table that several processes share: each writes a part of its own."""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rt_tf.errors import UserError
from rt_tf.files import write_bytes
from rt_tf.reporting.record_file import Row, line, read, supersede, written


def joined(path: Path, header: Mapping[str, Any], parts: Sequence[Path]) -> None:
    """Moves the lines of parts into the one file of a table; for a process that works alone.

    Parts with another header are superseded. Where two tell of one example, the first counts.
    """
    if not parts:
        return
    header = written(header)
    found: dict[int, Row] = {}
    taken = []
    for part in [*([path] if path.exists() else []), *parts]:
        own, rows = read(part)
        if own == header:
            taken.append(part)
            found = {row["index"]: row for row in rows} | found
        elif part != path:
            supersede(part)
    if any(part != path for part in taken):
        write_bytes(path, b"".join(map(line, [header, *found.values()])))
    for part in taken:
        if part != path:
            part.unlink()


def elsewhere(header: Mapping[str, Any], parts: Iterable[Path], whole: Path) -> set[int]:
    """Examples that other parts, or the whole table's file, have lines of.

    UserError for a part with another header: a process may be at work on it. The whole table's
    file is superseded then.
    """
    header, done = written(header), set()
    for part in [*parts, whole]:
        with contextlib.suppress(FileNotFoundError):  # superseded by another part meanwhile
            own, rows = read(part)
            if own == header:
                done |= {row["index"] for row in rows}
            elif part == whole:
                supersede(part)
            else:
                raise UserError(
                    f"slice: expected the settings of the other parts; those of {part.name} "
                    "differ; without --slice, the command supersedes them"
                )
    return done
