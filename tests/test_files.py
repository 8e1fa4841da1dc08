"""Atomic writing, and the damage of files."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from rt_tf.checker.archive import DAMAGE, read
from rt_tf.checker.malformed import MalformedError
from rt_tf.files import NUMPY_DAMAGE, write_bytes, write_text


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


def test_the_checker_which_stands_alone_knows_the_same_damage() -> None:
    assert DAMAGE == NUMPY_DAMAGE


def damaged_archive(path: Path, how: str) -> Path:
    """An archive of one array that is encrypted, by its flags, or states an impossible shape."""
    np.savez(path, rows=np.zeros((3, 4), np.float32))
    content = path.read_bytes()
    if how == "encrypted":
        for name in (b"PK\x03\x04", b"PK\x01\x02"):
            place = content.index(name) + (6 if name[2] == 3 else 8)
            content = content[:place] + b"\x01" + content[place + 1 :]
    else:
        stated = np.lib.format.header_data_from_array_1_0(np.zeros((3, 4), np.float32))
        with zipfile.ZipFile(path, "w") as archive, archive.open("rows.npy", "w") as file:
            np.lib.format.write_array_header_1_0(file, {**stated, "shape": (10**30,)})
        return path
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("how", ["encrypted", "impossible"])
def test_damage_of_archives_is_known(how: str, tmp_path: Path) -> None:
    path = damaged_archive(tmp_path / "rows.npz", how)
    with pytest.raises(NUMPY_DAMAGE), np.load(path) as file:
        file["rows"]
    with pytest.raises(MalformedError, match="expected a whole NumPy archive"):
        read(path)
