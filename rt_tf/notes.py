"""Notes of a run: JSON files with a checksum of their content, so that damage shows."""

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
    stored = json.loads(json.dumps(content))
    write_text(path, json.dumps({**stored, CHECKSUM: _checksum(stored)}, indent=1) + "\n")


def read_notes(path: str | Path) -> dict[str, Any]:
    """The content of a file of notes; UserError where it is not the object that was written."""
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"expected JSON in {path}; it is damaged: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"expected fields and values in {path}; received something else")
    stated = content.pop(CHECKSUM, None)
    if stated not in (None, _checksum(content)):
        raise UserError(f"expected {path} as it was written; it was edited or damaged")
    return content


def _checksum(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]
