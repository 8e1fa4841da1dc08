"""Folders are written whole or not at all, and in the place of nothing but their own kind."""

import contextlib
from pathlib import Path

import pytest

from rt_tf.errors import UserError
from rt_tf.folders import rewritten, settle

MARK = "mark"


def new(path: str | Path) -> contextlib.AbstractContextManager[Path]:
    return rewritten(path, "thing", (MARK,))


def content(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def write(path: Path, text: str, name: str = MARK) -> None:
    path.mkdir(exist_ok=True)
    (path / name).write_text(text)


def test_the_new_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with new(str(tmp_path / "new" / "a")) as staged:
            (staged / MARK).write_text(text)
        assert content(tmp_path) == {f"new/a/{MARK}": text}


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_folder_and_no_litter(tmp_path: Path, error: type) -> None:
    def fail() -> None:
        with new(tmp_path / "a") as staged:
            (staged / "new").write_text("new")
            raise error

    write(tmp_path / "a", "old")
    with pytest.raises(error):
        fail()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
    assert content(tmp_path) == {f"a/{MARK}": "old"}


def test_an_old_folder_comes_back_where_the_new_one_cannot_come(tmp_path: Path) -> None:
    write(tmp_path / "a", "old")
    with pytest.raises(FileNotFoundError), new(tmp_path / "a") as staged:
        staged.rmdir()
    assert content(tmp_path) == {f"a/{MARK}": "old"}


def test_what_was_killed_is_settled(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for old in ("old", "older"):
        write(tmp_path / ".a.rt_tf-replaced", old)
        write(tmp_path / ".a.rt_tf-partial", "half")
        settle(path)
        assert content(tmp_path) == {f"a/{MARK}": "old"}


def test_what_else_is_in_the_place_is_left_alone(tmp_path: Path) -> None:
    folder, file = tmp_path / "a", tmp_path / "file"
    write(folder, "hi", "precious.txt")
    file.write_text("mine")
    before = content(tmp_path)
    for path, holds in ((folder, "precious.txt"), (file, "a file")):
        message = f"thing: expected .*{path} holds {holds}, which would be lost"
        with pytest.raises(UserError, match=message) as caught, new(path):
            pass
        assert "\n" not in str(caught.value)
    assert content(tmp_path) == before
    write(folder, "ours")
    with new(folder) as staged:
        (staged / MARK).write_text("new")
    assert content(folder) == {MARK: "new"}


def test_an_empty_folder_and_a_link_to_one_of_the_kind_are_written_to(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "far", "old")
    (tmp_path / "link").symlink_to(tmp_path / "far")
    for name in ("empty", "link"):
        with new(tmp_path / name) as staged:
            (staged / MARK).write_text("new")
    assert (tmp_path / "link").is_symlink()
    assert content(tmp_path / "far") == content(tmp_path / "empty") == {MARK: "new"}
    assert {path.name for path in tmp_path.iterdir()} == {"empty", "far", "link"}


def test_neighbours_are_left_alone(tmp_path: Path) -> None:
    names = ("partial-a", "replaced-a", "a.tmp", ".a.tmp")
    for name in names:
        write(tmp_path / name, name)
    with new(tmp_path / "a") as staged:
        (staged / MARK).write_text("new")
    expected = {f"{name}/{MARK}": name for name in names}
    assert content(tmp_path) == {**expected, f"a/{MARK}": "new"}
