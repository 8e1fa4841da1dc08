"""Locks: files that a process holds, alone or with others, for as long as it lives."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import TextIO


class Lock:
    """A lock on the file behind an open handle, until the handle is closed."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def take(self, shared: bool = False) -> bool:
        """Takes the lock, alone or shared; returns whether it is held now."""
        kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        try:
            fcntl.flock(self._file, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def hold(path: Path, open_file: Callable[[], TextIO], shared: bool = False) -> TextIO | None:
    """Takes the lock on a file; returns the open file, or None if another process holds it.

    open_file: opens `path`, creating it if need be. An earlier holder may have removed the file
    since it was opened: then the lock is on a file that nobody else can open, and is taken anew.
    """
    while True:
        file = open_file()
        if not Lock(file).take(shared):
            file.close()
            return None
        if is_at(file, path):
            return file
        file.close()


def is_free(path: Path) -> bool:
    """Whether nobody holds a lock now."""
    try:
        with path.open() as file:
            return Lock(file).take(shared=True)
    except FileNotFoundError:
        return True


def is_at(file: TextIO, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
