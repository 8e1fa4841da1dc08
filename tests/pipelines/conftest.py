"""A small finished run, and a way to run the entry points as a user does."""

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from absl import flags

from pipelines import certify, evaluate, export, radius, train
from pipelines.command import with_run
from pipelines.flags.parsing import parse
from pipelines.flags.run import frozen, training_groups
from pipelines.runs.directory import RunDirectory
from pipelines.runs.place import Place
from rt_tf.reporting import report

Command = Callable[..., subprocess.CompletedProcess[str]]
SMALL = (
    "--system=test",
    "--model=digits_fc",
    "--epochs=2",
    "--batch_size=100",
    "--bound=interval",
    "--kappa=0.5",
    "--epsilon=0.05",
    "--monitor_samples=100",
    "--monitor_attack_steps=2",
    "--samples=40",
    "--curve=0.5",
    "--curve_samples=20",
    "--eval_steps=3",
    "--eval_restarts=1",
)
MODULES = {
    "certify": certify.certify,
    "evaluate": evaluate.attack,
    "export": export.export,
    "radius": radius.search,
}
GROUPS = {
    "certify": certify.GROUPS,
    "evaluate": evaluate.GROUPS,
    "export": export.GROUPS,
    "radius": radius.GROUPS,
}


def start(module: str, *arguments: str) -> subprocess.Popen[str]:
    """Starts `python -m pipelines.<module>` from the project's root."""
    return subprocess.Popen(
        [sys.executable, "-m", f"pipelines.{module}", *arguments],
        cwd=Path(__file__).parents[2],
        env={**os.environ, "COLUMNS": "160"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> subprocess.CompletedProcess[str]:
    """Waits for a started command."""
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


def command(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs `python -m pipelines.<module>` to its end."""
    return finish(start(module, *arguments))


def parsed(module: str, *arguments: str) -> flags.FlagValues:
    """The flags of a command on a run."""
    values = flags.FlagValues()
    return parse([module, *arguments], [make(values) for make in GROUPS[module]], "")


def run(module: str, *arguments: str) -> None:
    """What `python -m pipelines.<module>` does, in this process; errors are raised."""
    with_run(parsed(module, *arguments), MODULES[module])


def trained(folder: Path, *arguments: str) -> Path:
    """What `python -m pipelines.train` does, in this process; the run's directory."""
    values = flags.FlagValues()
    groups = training_groups(values)
    parse(["train", *arguments, f"--model_dir={folder}", "--quiet"], groups, "")
    directory = RunDirectory(folder)
    with directory.locked():
        train.train_and_publish(values, frozen(values, groups), directory, Place())
    return folder


def report_of(folder: Path) -> dict:
    """The report of a run."""
    return json.loads((folder / "report" / "report.json").read_text())


@pytest.fixture(scope="module", autouse=True)
def undrawn() -> Iterator[None]:
    """Pages of commands run in this process have no figures: those of other processes do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "draw", lambda *_: {})
        yield


@pytest.fixture(scope="session")
def small(digits_dir: Path) -> tuple[str, ...]:
    """The flags of a small run but for its model_dir."""
    return (*SMALL, f"--data_dir={digits_dir}")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, small: tuple[str, ...]) -> Iterator[Path]:
    """The directory of a finished run of two phases, which all processes of the tests share.

    It is to be read: a command that holds the run would be in another test's way, at times.
    """
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder, mark = shared / "two_phases", shared / "two_phases.whole"
    with (shared / "two_phases.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # until the file is closed
        if not mark.exists():
            _train_two_phases(folder, small)
            mark.write_text(held_last(folder))
    yield folder
    assert held_last(folder) == mark.read_text(), "a test held the run that all share: copy it"


def held_last(run: Path) -> str:
    """The moment at which a process last began to hold a run."""
    return str((run / "lock").stat().st_mtime_ns)


@pytest.fixture
def copy(finished: Path, tmp_path: Path) -> Path:
    """A finished run of a test's own."""
    return shutil.copytree(finished, tmp_path / "copy")


def _train_two_phases(folder: Path, small: tuple[str, ...]) -> None:
    phases = ("--attack=fgsm,none", "--bound=none,crown_ibp", "--kappa=0,0.5")
    result = command("train", *small, *phases, "--epochs=1,1", f"--model_dir={folder}")
    assert result.returncode == 0, result.stderr
    assert "next:" in result.stdout
