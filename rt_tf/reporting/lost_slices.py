"""Parts of tables that processes were to write and have not: none began, or none ended."""

from pathlib import Path

from rt_tf.records import parts
from rt_tf.records.record_file import OPEN, read


def lost_slices(records_dir: Path) -> list[str]:
    """A line for each part of a run's tables that lacks examples which come before others' last.

    An open line is no answer. Tables without parts are left alone: their examples are the first.
    """
    folders = [records_dir, *sorted(path for path in records_dir.iterdir() if path.is_dir())]
    return [line for folder in folders for line in _lost_in(folder)]


def _lost_in(folder: Path) -> list[str]:
    counts: dict[str, int] = {}  # of the parts of each table
    for path in sorted(folder.glob("*.jsonl")):
        if ending := parts.ENDING.search(path.stem):
            table = parts.table_of(path.stem)
            counts[table] = max(counts.get(table, 0), int(ending[2]))
    return [
        f"slice {k}/{count} of {folder.name}/{table} lacks {missing} examples"
        for table, count in counts.items()
        for k, missing in enumerate(_missing(folder, table, count), start=1)
        if missing
    ]


def _missing(folder: Path, table: str, count: int) -> list[int]:
    """The numbers of examples without an answer, of each part of a table."""
    rows = parts.union(read(path)[1] for path in parts.files(folder, table))
    answered = {row["index"] for row in rows if not row.get(OPEN)}
    every = range(1 + max((row["index"] for row in rows), default=-1))
    return [len(set(every[k::count]) - answered) for k in range(count)]
