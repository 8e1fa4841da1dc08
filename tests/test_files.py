"""Atomic writing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rt_tf.files import write_bytes, write_text


def test_writes_and_replaces(tmp_path: Path):
    path = write_text(tmp_path / "new" / "a.txt", "één")
    write_text(path, "two")
    assert path.read_text(encoding="utf-8") == "two"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


def test_failure_keeps_the_old_file_and_leaves_no_litter(tmp_path: Path, monkeypatch):
    path = write_bytes(tmp_path / "a.bin", b"old")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.bin"]


def test_file_mode_is_that_of_an_ordinary_file(tmp_path: Path):
    ordinary = tmp_path / "ordinary"
    ordinary.write_bytes(b"")
    written = write_bytes(tmp_path / "written", b"")
    assert written.stat().st_mode == ordinary.stat().st_mode
