"""The cache of decoded examples: folders that are made once and may be deleted at any time."""

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import platformdirs

from rt_tf.data.rows import LazyRows, Rows
from rt_tf.errors import UserError

IN_MEMORY = 2**29  # bytes: rows up to this size are read into memory, larger ones when used


class UnwritableError(UserError):
    """The cache cannot be written."""


def folder(cache_dir: str | None) -> Path:
    """The folder of the cache: the one named here or by RT_TF_CACHE_DIR, or the user's own."""
    named = cache_dir or os.environ.get("RT_TF_CACHE_DIR")
    return Path(named).expanduser() if named else platformdirs.user_cache_path("rt_tf")


def kept(
    cache_dir: str | None, name: str, key: Mapping[str, Any], make: Callable[[Path], None]
) -> Path:
    """A folder of the cache with what `make` writes into it, made unless it is there.

    name: a word for its name. key: all that its content depends on. Two processes may make it at
    once; a killed one leaves nothing that counts. Raises UnwritableError where there is no leave.
    """
    text = json.dumps(key, sort_keys=True, default=str)
    target = folder(cache_dir) / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".making-") as scratch:
            whole = Path(scratch) / "whole"
            whole.mkdir()
            make(whole)
            (whole / "key.json").write_text(text)
            _put(whole, target)
    except OSError as error:
        raise UnwritableError(
            f"cache_dir: expected room, and leave, to write to {target.parent}; received: {error}; "
            "--cache_dir=<folder> names another place"
        ) from error
    return target


def _put(whole: Path, target: Path) -> None:
    try:
        whole.rename(target)
    except OSError:
        if not target.is_dir():  # not another process's work
            raise


def read_rows(path: Path) -> Rows:
    """The rows in an .npy file: in memory, or memory-mapped if they are many."""
    if path.stat().st_size <= IN_MEMORY:
        return np.load(path)
    return LazyRows.of(np.load(path, mmap_mode="r"))


def refuse_full(where: Path, size: int) -> None:
    """Raises UserError where a file system has less than `size` bytes left."""
    free = shutil.disk_usage(where).free
    if size > free:
        raise UserError(
            f"cache_dir: expected {size / 2**30:.1f} GiB of room for decoded examples; {where} has "
            f"{free / 2**30:.1f}; --cache_dir=<folder> names another place"
        )


def marks(files: Iterable[Path]) -> list[list[Any]]:
    """A mark of each file, by which a change of it shows: path, size and time of change."""
    stats = [(str(path.resolve()), os.stat(path)) for path in files]  # noqa: PTH116
    return [[path, stat.st_size, stat.st_mtime_ns] for path, stat in stats]
