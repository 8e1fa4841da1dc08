"""A run's directory: what is swept, and what is damaged."""

from pathlib import Path

import pytest

from pipelines.flags.run import FORMER, defaults
from pipelines.runs.directory import RunDirectory
from rt_tf.errors import UserError

LITTER = ("records/linf-0.1/.certify.jsonl.7.tmp", "best/.rt_tf-partial.network.keras")
LITTER += (".export.rt_tf-partial/saved_model.pb", ".export.rt_tf-replaced/saved_model.pb")
LITTER += ("served/.3.rt_tf-partial/saved_model.pb",)
LITTER += (".proofs.rt_tf-partial/network.npz", ".state.json.12.tmp")
KEPT = ("records/linf-0.1/certify.jsonl", "best/network.keras", "export/saved_model.pb")
KEPT += ("served/2/saved_model.pb",)


def write(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_what_a_killed_process_left_is_swept(tmp_path: Path) -> None:
    write(tmp_path, (*LITTER, *KEPT))
    run = RunDirectory(tmp_path)
    run.freeze({"dataset": "digits"})
    with run.locked():
        assert files(tmp_path) == {*KEPT, "flags.cfg", "run.json", "lock"}
    assert not (tmp_path / ".export.rt_tf-partial").exists()


def test_a_folder_that_was_put_aside_comes_back(tmp_path: Path) -> None:
    aside = (".export.rt_tf-replaced/saved_model.pb", ".proofs.rt_tf-replaced/network.npz")
    write(tmp_path, aside)
    run = RunDirectory(tmp_path)
    run.freeze({"dataset": "digits"})
    with run.locked():
        there = {"export/saved_model.pb", "proofs/network.npz"}
        assert files(tmp_path) == {*there, "flags.cfg", "run.json", "lock"}


def test_nothing_is_swept_where_there_is_no_run(tmp_path: Path) -> None:
    write(tmp_path, LITTER)
    with RunDirectory(tmp_path).locked():
        assert set(LITTER) <= files(tmp_path)
    assert files(tmp_path) == set(LITTER)


@pytest.mark.parametrize("name", ["state.json", "run.json"])
def test_damaged_notes_are_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text('{"train": ')
    run = RunDirectory(tmp_path)
    with pytest.raises(UserError, match=f"expected JSON in .*{name}; it is damaged"):
        run.done() if name == "state.json" else run.facts()


def test_a_flag_that_is_younger_than_the_run_is_no_change_at_its_default(tmp_path: Path) -> None:
    now = defaults()
    run = RunDirectory(tmp_path)
    run.freeze({name: text for name, text in now.items() if name != "nesterov"})
    assert not run.compare(now, accept_changes=False)
    with pytest.raises(UserError, match="--nesterov was false, is now true"):
        run.compare(now | {"nesterov": "true"}, accept_changes=True)
    with pytest.raises(UserError, match="--momentum was unset, is now 0.5"):
        run.compare(now | {"momentum": "0.5"}, accept_changes=True)


@pytest.mark.parametrize(
    "name", ["a[b]c", "a*", "what?", "back\\slash", "gs://bucket/run", "s3://b/r", "file:///tmp/x"]
)
def test_what_cannot_be_written_to_is_refused_before_anything_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="model_dir: expected a (path without|folder of this)"):
        RunDirectory(name)
    with pytest.raises(UserError, match="model_dir: expected a (path without|folder of this)"):
        RunDirectory(Path(name))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["a b", "a{1}", "ümlaut", "c:d", "50%"])
def test_other_names_are_a_runs_as_any(tmp_path: Path, name: str) -> None:
    assert RunDirectory(tmp_path / name).path == tmp_path / name


FLAGS = {"dataset": "digits", "system": "a=b", "published": "é --x=1", "epsilon": "0.05"}


def test_frozen_flags_are_a_flag_file_that_reads_back(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.freeze(FLAGS)
    assert run.frozen() == FLAGS
    lines = run.flags.read_text().splitlines()
    assert [line for line in lines if line[0] != "#"] == [f"--{k}={v}" for k, v in FLAGS.items()]


def spoilt(text: str) -> dict[str, str]:
    lines = text.splitlines(keepends=True)
    return {
        "emptied": "",
        "blank": "\n\n",
        "comments alone": "".join(lines[:2]),
        "edited": text.replace("0.05", "0.5"),
        "a flag less": "".join(lines[:-1]),
        "a flag more": f"{text}--seed=3\n",
        "no checksum": "".join(line for line in lines if "sha256" not in line),
        "other checksum": text.replace("# sha256 ", "# sha256 0"),
        "cut short": text[:-4],
        "not text": text.replace("digits", "dig\x00ts"),
    }


@pytest.mark.parametrize("name", spoilt(""))
def test_flags_that_are_not_as_they_were_written_are_refused(tmp_path: Path, name: str) -> None:
    run = RunDirectory(tmp_path)
    run.freeze(FLAGS)
    run.flags.write_text(spoilt(run.flags.read_text())[name])
    with pytest.raises(UserError, match="flags that the run was begun with; .* edited or damaged"):
        run.frozen()


def test_flags_that_are_no_text_are_refused(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.freeze(FLAGS)
    run.flags.write_bytes(run.flags.read_bytes().replace(b"digits", b"dig\xffts"))
    with pytest.raises(UserError, match="edited or damaged"):
        run.frozen()


def test_a_run_of_an_earlier_version_has_flags_without_a_checksum(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    run.flags.write_text("# Reruns with --flagfile=<this file>.\n--dataset=digits\n--seed=1\n")
    assert run.frozen() == {"dataset": "digits", "seed": "1"}
    run.flags.write_text("")
    with pytest.raises(UserError, match="edited or damaged"):
        run.frozen()


def test_a_default_that_has_changed_is_no_change_of_a_run_that_had_it(tmp_path: Path) -> None:
    now = defaults()
    run = RunDirectory(tmp_path)
    for name, former in FORMER.items():
        assert now[name] != former
        run.freeze(now | {name: former})
        assert not run.compare(now, accept_changes=False)
        assert not run.compare(now | {name: former}, accept_changes=False)
        with pytest.raises(UserError, match=f"--{name} was {former}, is now 7"):
            run.compare(now | {name: "7"}, accept_changes=False)
