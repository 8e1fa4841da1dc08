"""Folders are written whole or not at all."""

from pathlib import Path

import pytest

from rt_tf.folders import rewritten, settle


def content(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def write(path: Path, text: str) -> None:
    path.mkdir()
    (path / text).write_text(text)


def test_the_new_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with rewritten(tmp_path / "new" / "a") as staged:
            (staged / text).write_text(text)
        assert content(tmp_path) == {f"new/a/{text}": text}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_folder_and_no_litter(tmp_path: Path, error: type) -> None:
    def fail() -> None:
        with rewritten(tmp_path / "a") as staged:
            (staged / "new").write_text("new")
            raise error

    write(tmp_path / "a", "old")
    with pytest.raises(error):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert content(tmp_path) == {"a/old": "old"}


def test_an_old_folder_comes_back_where_the_new_one_cannot_come(tmp_path: Path) -> None:
    write(tmp_path / "a", "old")
    with pytest.raises(FileNotFoundError), rewritten(tmp_path / "a") as staged:
        staged.rmdir()
    assert content(tmp_path) == {"a/old": "old"}


def test_what_was_killed_is_settled(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write(tmp_path / "replaced-a", "old")
    write(tmp_path / "partial-a", "half")
    settle(path)
    assert content(tmp_path) == {"a/old": "old"}
    write(tmp_path / "replaced-a", "older")
    settle(path)
    assert content(tmp_path) == {"a/old": "old"}
