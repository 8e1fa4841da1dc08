"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import tokenize
import zipfile
import zlib
from pathlib import Path

# What NumPy raises for files of arrays that are cut short or changed. The checker, which uses
# nothing of this library, has the same errors.
NUMPY_DAMAGE = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    KeyError,
    AttributeError,
    OverflowError,
    SyntaxError,
    tokenize.TokenError,
    MemoryError,  # of a header that speaks of more than there is room for
    RuntimeError,  # of an encrypted entry, or of a compression that zipfile does not know
    zipfile.BadZipFile,
    zlib.error,
)


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Writes `data` atomically and durably: a reader sees the old file or the new one, never half.

    The bytes reach the disk under a temporary name in the same directory, which then takes the
    place of `path`; returns that. Missing parent directories are made. An OSError (a full disk,
    say) leaves the old file and no litter.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)
    return path


def write_text(path: str | Path, text: str) -> Path:
    """Writes `text` in UTF-8 by `write_bytes`."""
    return write_bytes(path, text.encode("utf-8"))


def _sync_directory(path: Path) -> None:
    """Makes a rename in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
