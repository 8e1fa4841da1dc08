"""Caches and data have a folder even where the user's home cannot be written."""

import os
import tempfile
from pathlib import Path

import pytest

from pipelines.caches import NAMES, redirect_caches


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home that is not there, and a place for temporary files."""
    for name in (*NAMES, "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, "")  # which is undone after the test, whatever it sets
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path / "home"


def test_a_home_that_is_missing_is_replaced(home: Path) -> None:
    base = home.parent / f"rt_tf-{os.getuid()}"
    names = "RT_TF_CACHE_DIR, MPLCONFIGDIR, KERAS_HOME, TFDS_DATA_DIR"
    assert redirect_caches() == f"the home {home} cannot be written: {names} are in {base} now"
    assert base.stat().st_mode & 0o777 == 0o700
    assert os.environ["TFDS_DATA_DIR"] == f"{base}/tensorflow_datasets"
    assert all(Path(os.environ[name]).is_dir() for name in NAMES)
    assert redirect_caches() is None


def test_a_home_that_can_be_written_is_left_alone(home: Path) -> None:
    home.mkdir()
    assert redirect_caches() is None
    assert not set(NAMES) & set(os.environ)


def test_what_the_user_names_stays(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(home.parent))
    monkeypatch.setenv("TFDS_DATA_DIR", "/data")
    line = redirect_caches()
    assert line is not None
    assert f"RT_TF_CACHE_DIR, MPLCONFIGDIR, KERAS_HOME are in {home.parent}/rt_tf now" in line
    assert os.environ["TFDS_DATA_DIR"] == "/data"


def test_another_users_folder_is_not_used(home: Path) -> None:
    (home.parent / "other").mkdir()
    (home.parent / f"rt_tf-{os.getuid()}").symlink_to(home.parent / "other")
    assert redirect_caches() is None


def test_data_sets_of_a_home_that_is_only_read_stay(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / "tensorflow_datasets").mkdir(parents=True)
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != home)
    line = redirect_caches()
    assert line is not None
    assert "RT_TF_CACHE_DIR, MPLCONFIGDIR, KERAS_HOME are in" in line
