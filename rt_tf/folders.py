"""Writing a folder whole or not at all."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from rt_tf.errors import UserError


@contextlib.contextmanager
def rewritten(path: str | Path, kind: str, marks: Sequence[str]) -> Iterator[Path]:
    """A new folder to write to, which takes the place of `path` in the end.

    An error, or an interruption, leaves the old folder and no litter. kind: a name of the
    folder, for messages. marks: patterns of files, one of which every folder of the kind holds.
    UserError, and nothing is touched, where something else is in the place.
    """
    path = Path(path).resolve()
    settle(path)
    _refuse_foreign(path, kind, marks)
    staged, replaced = _aside(path)
    staged.mkdir(parents=True)
    try:
        yield staged
        if path.exists():
            path.replace(replaced)
        staged.replace(path)
    finally:
        settle(path)


def settle(path: str | Path) -> None:
    """Removes leftovers of a killed `rewritten` beside `path`; a folder put aside comes back."""
    path = Path(path).resolve()
    staged, replaced = _aside(path)
    if replaced.exists() and not path.exists():
        replaced.replace(path)
    for folder in (staged, replaced):
        shutil.rmtree(folder, ignore_errors=True)


def _aside(path: Path) -> tuple[Path, Path]:
    """The places of the new folder while it is written, and of the old one until then.

    Names that nobody else uses, since anything of these names is removed.
    """
    partial, replaced = f".{path.name}.rt_tf-partial", f".{path.name}.rt_tf-replaced"
    return path.with_name(partial), path.with_name(replaced)


def _refuse_foreign(path: Path, kind: str, marks: Sequence[str]) -> None:
    """Raises UserError for other than an empty folder or one of the kind: it would be lost."""
    if not path.exists() or (path.is_dir() and any(any(path.glob(mark)) for mark in marks)):
        return
    held = sorted(part.name for part in path.iterdir()) if path.is_dir() else ["a file"]
    if held:
        raise UserError(
            f"{kind}: expected a new folder, an empty one or an earlier {kind}; {path} holds "
            f"{', '.join(held[:5])}, which would be lost"
        )


# In names of folders, TensorFlow takes these for patterns: it would read other files, or none.
PATTERNS = "[]*?\\"
REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


def writable(path: str | Path, flag: str) -> Path:
    """The path; UserError for one that TensorFlow, or this system, cannot write to.

    flag: the flag that names it.
    """
    text = str(path)
    if REMOTE.match(text):
        raise UserError(f"{flag}: expected a folder of this machine; received the address {text}")
    signs = sorted({sign for sign in text if sign in PATTERNS})
    if signs:
        raise UserError(
            f"{flag}: expected a path without {' '.join(PATTERNS)}, which TensorFlow takes for "
            f"patterns; received {text} with {' '.join(signs)}"
        )
    return Path(path)
