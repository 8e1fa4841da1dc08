"""Exports with a bar: what is refused, what is left in the folder, and how the command ends."""

import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipelines import export
from pipelines.command import with_run
from pipelines.runs.directory import RunDirectory
from pipelines.stages import blessing
from rt_tf.errors import UserError
from rt_tf.records.merge import RecordFile
from rt_tf.threats.linf import Linf
from tests.pipelines.conftest import command, parsed, report_of, run


@pytest.fixture(scope="module")
def copy(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, exported anew by the first test."""
    return shutil.copytree(finished, tmp_path_factory.mktemp("blessing") / "run")


def judged(folder: Path, *arguments: str) -> str | None:
    """What `python -m pipelines.export` refuses, in this process."""
    values = parsed("export", f"--model_dir={folder}", *arguments)
    return with_run(values, export.export, export.conclude)


def versions(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "served").glob("*"))


def verdicts(folder: Path) -> set[str]:
    return {path.name for path in (folder / "export").glob("*BLESSED")}


def verified(folder: Path, name: str = "linf-0.05") -> dict:
    questions = {question["name"]: question for question in report_of(folder)["questions"]}
    return questions[name]["certified"]


def sums(folder: Path) -> str:
    subprocess.run(
        ["sha256sum", "--quiet", "-c", "assets.extra/SHA256SUMS"],
        cwd=folder / "export",
        check=True,
    )
    return (folder / "export" / "assets.extra" / "SHA256SUMS").read_text()


def test_at_the_bar_it_is_blessed(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("certify", f"--model_dir={copy}", "--epsilon=0.001", "--samples=30", "--rungs=interval")
    rate = verified(copy, "linf-0.001")
    assert 0.0 < rate["rate"] < 1.0
    bar = f"--min_verified_accuracy={rate['rate']}"
    assert judged(copy, bar, "--epsilon=0.001", "--export_version=7") is None
    out = capsys.readouterr().out
    assert f"BLESSED: {rate['count']} of 30 images verified at linf 0.001" in out
    assert verdicts(copy) == {"BLESSED"}
    text = (copy / "export" / "BLESSED").read_text()
    assert f"network_sha256: {report_of(copy)['model']['network_sha256']}\n" in text
    assert "  BLESSED\n" in sums(copy)
    assert f"version 7: {copy}/served/7\n" in out
    assert versions(copy) == ["7"]
    version = copy / "served" / "7"
    assert (version / "BLESSED").exists()
    assert (version / "assets.extra" / "MODEL_CARD.md").exists()


@pytest.mark.slow
def test_above_the_rate_the_command_fails_in_one_line(copy: Path) -> None:
    bar = "--min_verified_accuracy=1"
    result = command("export", f"--model_dir={copy}", bar, "--export_version=8", "--quiet")
    assert result.returncode == 1, result.stderr
    rate = verified(copy)
    assert result.stderr.startswith(f"NOT_BLESSED: {rate['count']} of 40 images verified at")
    assert result.stderr.count("\n") == 1
    assert verdicts(copy) == {"NOT_BLESSED"}
    assert "8" not in versions(copy)
    assert "  NOT_BLESSED\n" in sums(copy)
    assert (copy / "export" / "assets.extra" / "MODEL_CARD.md").exists()


def test_what_cannot_be_judged_is_refused_and_nothing_is_written(copy: Path) -> None:
    before = (copy / "export" / "saved_model.pb").stat().st_mtime_ns
    bar = "--min_verified_accuracy=0.5"
    words = "expected certificates at linf-0.07; there are linf-0.001, .*epsilon=0.07 "
    with pytest.raises(UserError, match=words):
        judged(copy, bar, "--epsilon=0.07")
    with pytest.raises(UserError, match="expected one radius; received 2"):
        judged(copy, bar, "--epsilon=0.05,0.025")
    with pytest.raises(UserError, match="expected --min_verified_accuracy with --epsilon"):
        judged(copy, "--epsilon=0.05")
    (copy / "served" / "9").mkdir(parents=True)
    with pytest.raises(UserError, match="export_version: expected a new number.*no export"):
        judged(copy, "--export_version=9")
    (copy / "served" / "9").rmdir()
    assert (copy / "export" / "saved_model.pb").stat().st_mtime_ns == before


def test_certificates_in_parts_can_be_judged(tmp_path: Path) -> None:
    run = RunDirectory(tmp_path)
    session = SimpleNamespace(run=run, threat=Linf(), radii=[0.1])
    parts = [
        RecordFile(run.records / "linf-0.1" / f"certify-{part}.jsonl", {"settings": {}})
        for part in ("1of2", "2of2")
    ]
    with pytest.raises(UserError, match="expected certificates at linf-0.1; there are none"):
        blessing.check(session)
    parts[1].append([{"index": 1}])
    blessing.check(session)
    with pytest.raises(UserError, match="at linf-0.2; there are linf-0.1; "):
        blessing.check(SimpleNamespace(run=run, threat=Linf(), radii=[0.2]))


@pytest.mark.parametrize("bar", ["-0.1", "1.01", "nan", "much"])
def test_a_bar_that_is_no_share_is_refused(
    bar: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed("export", f"--model_dir={tmp_path}", f"--min_verified_accuracy={bar}")
    assert ended.value.code == 2
    assert "min_verified_accuracy" in capsys.readouterr().err


@pytest.mark.slow
def test_a_new_export_has_no_verdict(copy: Path) -> None:
    run("export", f"--model_dir={copy}")
    assert verdicts(copy) == set()
    assert "BLESSED" not in sums(copy)
