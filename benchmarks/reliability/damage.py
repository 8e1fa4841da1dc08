"""Files of a run that are cut short, changed by a bit, or another run's."""

import random
import shutil
import signal
import time
from pathlib import Path

from benchmarks.reliability import runs
from benchmarks.reliability.runs import Trial, ended, started

# Logs of TensorBoard and the page are read by people alone; the lock holds nothing.
UNREAD = ("logs", "report", "lock")


def of_checkpoints(folder: Path, reference: Path, count: int, draw: random.Random) -> list[Trial]:
    """Checkpoints that are damaged between two halves of training.

    The run goes on from an earlier one to the same figures, or refuses all of them.
    """
    wanted = runs.figures(reference)
    stopped = _stopped(folder / "stopped")
    trials = []
    for number in range(count):
        run = shutil.copytree(stopped, folder / f"checkpoint-{number}")
        files = sorted((run / "checkpoints").glob("ckpt-*"))
        what = harm(draw.choice(files), draw)
        trial = runs.same_or_refused(run, wanted, runs.train(run))
        trials.append(trial._replace(what=f"{what}: {trial.what}"))
        shutil.rmtree(run)
    return trials


def _stopped(run: Path) -> Path:
    """A run that was asked to end in the middle of training."""
    process = started("train", *runs.SYSTEM, f"--model_dir={run}")
    while len(list((run / "checkpoints").glob("*.index"))) < 3 and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    ended(process)
    return run


def of_others(folder: Path, reference: Path, count: int, draw: random.Random) -> list[Trial]:
    """Checkpoints of another network in the place of a run's own."""
    del count, draw
    wanted = runs.figures(reference)
    other = folder / "other"
    runs.train(other, "--model=digits_cnn", "--epochs=1,1", "--samples=1", "--curve_samples=1")
    run = _stopped(folder / "stopped")
    shutil.rmtree(run / "checkpoints")
    shutil.copytree(other / "checkpoints", run / "checkpoints")
    return [runs.same_or_refused(run, wanted, runs.train(run))]


def of_finished_runs(folder: Path, reference: Path, count: int, draw: random.Random) -> list[Trial]:
    """Any file of a finished run that is read again: it is certified at another radius."""
    certified = shutil.copytree(reference, folder / "certified")
    runs.certify(certified)
    wanted = runs.figures(certified)
    trials = []
    for number in range(count):
        run = shutil.copytree(reference, folder / f"run-{number}")
        files = [path for path in sorted(run.rglob("*")) if path.is_file() and _is_read(path, run)]
        file = draw.choice(files)
        what = f"{file.relative_to(run)} {harm(file, draw)}"
        trial = runs.same_or_refused(run, wanted, runs.certify(run))
        trials.append(trial._replace(what=f"{what}: {trial.what}"))
        shutil.rmtree(run)
    return trials


def _is_read(path: Path, run: Path) -> bool:
    return path.relative_to(run).parts[0] not in UNREAD and path.stat().st_size > 0


def harm(path: Path, draw: random.Random) -> str:
    """Cuts a file short, or changes a bit of it; says which."""
    data = bytearray(path.read_bytes())
    if draw.random() < 0.5 or not data:
        path.write_bytes(data[: draw.randrange(len(data) + 1)])
        return "cut short"
    place = draw.randrange(len(data))
    data[place] ^= 1 << draw.randrange(8)
    path.write_bytes(data)
    return f"with a changed bit at {place}"
