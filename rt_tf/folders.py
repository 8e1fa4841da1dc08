"""Writing a folder whole or not at all."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def rewritten(path: Path) -> Iterator[Path]:
    """A new folder to write to, which takes the place of `path` in the end.

    An error, or an interruption, leaves the old folder and no litter.
    """
    settle(path)
    staged, replaced = _aside(path)
    staged.mkdir(parents=True)
    try:
        yield staged
        if path.exists():
            path.replace(replaced)
        staged.replace(path)
    finally:
        settle(path)


def settle(path: Path) -> None:
    """Removes what a killed `rewritten` left beside `path`; a folder put aside comes back."""
    staged, replaced = _aside(path)
    if replaced.exists() and not path.exists():
        replaced.replace(path)
    for folder in (staged, replaced):
        shutil.rmtree(folder, ignore_errors=True)


def _aside(path: Path) -> tuple[Path, Path]:
    """Where the new folder is written, and where the old one waits until the new one is there."""
    return path.with_name(f"partial-{path.name}"), path.with_name(f"replaced-{path.name}")
