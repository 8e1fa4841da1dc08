"""Which code a run says that it was made by: never the commit of a folder that is around."""

import shutil
import subprocess
from pathlib import Path

import pytest

import rt_tf
from rt_tf.reporting.provenance import code
from rt_tf.reporting.text import code_text

OWN = Path(rt_tf.__file__).parents[1]


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The code's files in a folder of their own, from which it seems to run."""
    folder = tmp_path / "around" / "copy"
    (folder / "rt_tf").mkdir(parents=True)
    (folder / "pipelines").mkdir()
    shutil.copy(OWN / "rt_tf" / "__init__.py", folder / "rt_tf")
    shutil.copy(OWN / "setup.cfg", folder)
    monkeypatch.setattr(rt_tf, "__file__", str(folder / "rt_tf" / "__init__.py"))
    return folder


def committed(folder: Path) -> str:
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return git(folder, "rev-parse", "HEAD")


def test_outside_any_repository_there_is_a_version_alone(copy: Path) -> None:
    assert code() == {"version": rt_tf.__version__, "commit": None, "changed": None}


def test_an_image_says_what_it_was_built_from(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RT_TF_COMMIT", "0123abc")
    assert code() == {"version": rt_tf.__version__, "commit": "0123abc", "changed": None}
    commit = committed(copy)
    assert code()["commit"] == commit
    monkeypatch.setenv("RT_TF_COMMIT", "")  # an image that was built without a word on it
    shutil.rmtree(copy / ".git")
    assert code()["commit"] is None


def test_its_own_repository_is_named_and_so_are_changes(copy: Path) -> None:
    commit = committed(copy)
    assert code() == {"version": rt_tf.__version__, "commit": commit, "changed": False}
    (copy / "notes.txt").write_text("not code")
    assert code()["changed"] is False
    added = copy / "pipelines" / "new.py"
    added.write_text("")
    assert code()["changed"] is True
    added.unlink()
    (copy / "rt_tf" / "__init__.py").write_text("changed = True\n")
    assert code() == {"version": rt_tf.__version__, "commit": commit, "changed": True}


def test_a_repository_around_it_is_not_meant(copy: Path) -> None:
    committed(copy.parent)
    assert code()["commit"] is None


def test_another_project_that_took_the_code_in_is_not_meant(copy: Path) -> None:
    (copy / "setup.cfg").write_text("[metadata]\nname = another\n")
    committed(copy)
    assert code()["commit"] is None


def test_an_installed_copy_that_a_repository_ignores_is_not_meant(copy: Path) -> None:
    (copy / ".gitignore").write_text("rt_tf/\n")
    committed(copy)
    assert code()["commit"] is None


def test_the_repository_of_a_hook_is_not_meant(
    copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    shutil.copytree(copy, other)
    committed(other)
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(copy))
    assert code()["commit"] is None


def test_code_in_words() -> None:
    code = {"version": "0.1.0", "commit": "0123abc", "changed": False}
    assert code_text(code) == "0.1.0, commit 0123abc, unchanged"
    assert code_text({**code, "changed": True}) == "0.1.0, commit 0123abc, changed since"
    alone = {"version": "0.1.0", "commit": None, "changed": None}
    assert code_text(alone) == "0.1.0, not from its repository"
    assert code_text(None) == "not noted"
