"""Which code runs: the library's version and, from a checkout of its own, the commit."""

import os
import subprocess
from pathlib import Path
from typing import Any

import rt_tf

PACKAGES = ("rt_tf", "pipelines")
MARK = "name = rt_tf"  # in the setup.cfg of this repository, and of no other


def code() -> dict[str, Any]:
    """{"version", "commit", "changed"}: commit and changed are None outside its own repository.

    changed: whether the packages have files that are not as in the commit, or not in it. A folder
    around the code that is another repository, such as one that the library was installed or copied
    into, says nothing of the code.
    """
    root = Path(rt_tf.__file__).resolve().parents[1]
    found: dict[str, Any] = {"version": rt_tf.__version__, "commit": None, "changed": None}
    if not _is_own(root):
        return found
    changes = _git(root, "status", "--porcelain", "--", *PACKAGES)
    return {**found, "commit": _git(root, "rev-parse", "HEAD"), "changed": changes != ""}


def _is_own(root: Path) -> bool:
    """Whether a folder is the top of a checkout of this repository, which has the code in it."""
    top, setup = _git(root, "rev-parse", "--show-toplevel"), root / "setup.cfg"
    if top is None or Path(top).resolve() != root or not setup.exists():
        return False
    tracked = _git(root, "ls-files", "--error-unmatch", "rt_tf/__init__.py") is not None
    return tracked and MARK in setup.read_text(encoding="utf-8").splitlines()


def _git(root: Path, *arguments: str) -> str | None:
    """What git says of a folder; None where it says nothing, or there is no git.

    Variables such as GIT_DIR, which hooks set, would speak of another repository.
    """
    environment = {name: v for name, v in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
