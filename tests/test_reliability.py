"""Short forms of `benchmarks.reliability` and `benchmarks.fuzzing`."""

import random
import signal
from pathlib import Path

import pytest

from benchmarks import fuzzing
from benchmarks.reliability import damage, runs
from benchmarks.reliability.__main__ import HARMS
from rt_tf.errors import UserError

FEW = {"damaged finished runs": 2}  # else one of each


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("reference") / "run"
    end = runs.train(run)
    assert end.status == 0, end.errors
    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in HARMS if name != "odd names"])
def test_harms_are_survived_or_refused(name: str, reference: Path, tmp_path: Path) -> None:
    trials = HARMS[name][0](tmp_path, reference, FEW.get(name, 1), random.Random(7))
    assert not [trial.what for trial in trials if not trial.held]


@pytest.mark.slow
@pytest.mark.parametrize("name", fuzzing.READERS)
def test_readers_read_or_refuse(name: str, reference: Path, tmp_path: Path) -> None:
    findings = fuzzing.fuzz(name, reference, 5.0, tmp_path, most=200)
    assert not findings.found
    assert findings.attempts == 200


def test_other_figures_are_no_survival(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "figures", lambda run: {"network": "a"})
    well = runs.End(0, [], [])
    assert runs.same(tmp_path, {"network": "a"}, well).held
    assert not runs.same(tmp_path, {"network": "b"}, well).held
    assert not runs.same(tmp_path, {"network": "a"}, runs.End(1, [], ["error: x"])).held
    assert runs.same_or_refused(tmp_path, {"network": "b"}, runs.End(2, [], ["error: x"])).held
    traceback = runs.End(1, [], ["Traceback", "ValueError"])
    assert not runs.same_or_refused(tmp_path, {"network": "b"}, traceback).held


def test_harm_changes_a_file(tmp_path: Path) -> None:
    draw, file = random.Random(0), tmp_path / "file"
    kinds = set()
    for _ in range(20):
        file.write_bytes(bytes(range(200)))
        kinds.add(damage.harm(file, draw).split(" ")[0])
        assert file.read_bytes() != bytes(range(200)) or file.stat().st_size == 200
    assert kinds == {"cut", "with"}


def test_a_reader_that_fails_is_a_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = tmp_path / "seed"
    seed.write_bytes(b"abcdef" * 9)

    def read(path: Path) -> None:
        if b"a" not in path.read_bytes()[:1]:
            raise ValueError("not ours")
        raise UserError("ours")

    subject = fuzzing.Subject(read, [seed])
    monkeypatch.setitem(fuzzing.READERS, "flag files", lambda *_: subject)
    monkeypatch.setattr(fuzzing.os, "dup2", lambda *_: None)
    with pytest.raises(SystemExit):
        fuzzing.try_reader("flag files", tmp_path, tmp_path, 0, 30.0)
    assert "ValueError: not ours" in capsys.readouterr().out
    assert (tmp_path / "attempts").exists()
    assert signal.alarm(0) == 0  # none is left that would end this process
