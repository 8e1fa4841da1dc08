"""Notes of a run: JSON files with a checksum of what they say, so that damage is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rt_tf.errors import UserError
from rt_tf.files import write_text

CHECKSUM = "checksum"  # the last field; notes of earlier versions have none


def write_notes(path: str | Path, content: Mapping[str, Any]) -> None:
    """Writes an object of JSON and its checksum, whole or not at all."""
    told = json.loads(json.dumps(content))
    write_text(path, json.dumps({**told, CHECKSUM: _checksum(told)}, indent=1) + "\n")


def read_notes(path: str | Path) -> dict[str, Any]:
    """The content of a file of notes; UserError where it is not the object that was written."""
    try:
        told = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"expected JSON in {path}; it is damaged: {error}") from error
    if not isinstance(told, dict):
        raise UserError(f"expected fields and values in {path}; received something else")
    stated = told.pop(CHECKSUM, None)
    if stated not in (None, _checksum(told)):
        raise UserError(f"expected {path} as it was written; it was edited or damaged")
    return told


def _checksum(told: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]
