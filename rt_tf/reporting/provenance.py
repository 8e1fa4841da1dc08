"""The surroundings of a run, for its report: the code, the packages' versions, the machine."""

import os
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import tensorflow as tf

import rt_tf
from rt_tf.machine import usable_cores

OWN_PACKAGES = ("rt_tf", "pipelines")
MARK = "name = rt_tf"  # in the setup.cfg of this repository, and of no other
COMMIT = "RT_TF_COMMIT"  # an environment variable of images
PACKAGES = ("tensorflow", "keras", "tensorflow-datasets", "numpy", "scipy")


def surroundings() -> dict[str, Any]:
    """{"versions", "code", "hardware"}, as reports have them."""
    versions = {name: metadata.version(name) for name in PACKAGES}
    return {"versions": versions, "code": code(), "hardware": _hardware()}


def _hardware() -> dict[str, Any]:
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if "model name" in line]
    memory = [int(line.split()[1]) for line in _lines("/proc/meminfo") if "MemTotal" in line]
    devices = tf.config.list_physical_devices()
    return {
        "cpu": names[0] if names else None,
        "cores": usable_cores(),
        "memory_gib": round(memory[0] / 2**20, 1) if memory else None,
        "accelerators": [device.name for device in devices if device.device_type != "CPU"],
    }


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def code() -> dict[str, Any]:
    """{"version", "commit", "changed"} of this library.

    changed: whether the packages have files that are not as in the commit, or not in it; None
    outside a checkout of this repository: another repository around the code, such as one that it
    was installed or copied into, says nothing of the code. Outside, the commit is the one that an
    image of a container was built from, if that was stated (the Dockerfile's COMMIT).
    """
    root = Path(rt_tf.__file__).resolve().parents[1]
    facts: dict[str, Any] = {"version": rt_tf.__version__, "commit": None, "changed": None}
    if not _is_checkout(root):
        return {**facts, "commit": os.environ.get(COMMIT) or None}
    changes = _git(root, "status", "--porcelain", "--", *OWN_PACKAGES)
    return {**facts, "commit": _git(root, "rev-parse", "HEAD"), "changed": changes != ""}


def _is_checkout(root: Path) -> bool:
    """Whether a folder is the top of a checkout of this repository, which has the code in it."""
    top, setup = _git(root, "rev-parse", "--show-toplevel"), root / "setup.cfg"
    if top is None or Path(top).resolve() != root or not setup.exists():
        return False
    tracked = _git(root, "ls-files", "--error-unmatch", "rt_tf/__init__.py") is not None
    return tracked and MARK in setup.read_text(encoding="utf-8").splitlines()


def _git(root: Path, *arguments: str) -> str | None:
    """The output of a git command in a folder; None if the command fails, or there is no git.

    It runs without variables such as GIT_DIR, which hooks set, and which name another repository.
    """
    environment = {name: v for name, v in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "-C", str(root), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()
