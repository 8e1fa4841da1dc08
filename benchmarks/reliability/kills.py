"""Commands that are killed at random moments, and begun again until they end."""

import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.reliability import runs
from benchmarks.reliability.runs import Trial, started

EACH = 5  # kills of one run before it is left to end


def of_runs(folder: Path, reference: Path, count: int, draw: random.Random) -> list[Trial]:
    """Kills of training, export, certification, attack and report of a run."""
    wanted = runs.figures(reference)
    began = time.monotonic()
    runs.train(folder / "timed")
    whole = time.monotonic() - began

    def begin(run: Path) -> subprocess.Popen[str]:
        return started("train", *runs.SYSTEM, f"--model_dir={run}")

    def judge(run: Path) -> Trial:
        return runs.same(run, wanted, runs.train(run))

    return _trials(folder, count, draw, whole, begin, judge)


def of_clusters(folder: Path, reference: Path, count: int, draw: random.Random) -> list[Trial]:
    """Kills of a command whose examples a cluster of two processes answers."""
    certified = shutil.copytree(reference, folder / "certified")
    began = time.monotonic()
    runs.certify(certified)
    whole = 2.0 * (time.monotonic() - began)
    wanted = runs.figures(certified)

    def begin(run: Path) -> subprocess.Popen[str]:
        if not run.exists():
            shutil.copytree(reference, run)
        words = [f"--model_dir={run}", *runs.CERTIFY, "--cluster=local:2"]
        return started("certify", *words)

    def judge(run: Path) -> Trial:
        return runs.same(run, wanted, runs.certify(run, "--cluster=local:2"))

    return _trials(folder, count, draw, whole, begin, judge)


def _trials(
    folder: Path,
    count: int,
    draw: random.Random,
    whole: float,
    begin: Callable[[Path], subprocess.Popen[str]],
    judge: Callable[[Path], Trial],
) -> list[Trial]:
    """Kills in groups: each of a group's kills has the trial of the run that they were of.

    whole: seconds of an undisturbed command.
    """
    trials: list[Trial] = []
    while len(trials) < count:
        run = folder / f"killed-{len(trials)}"
        kills = min(EACH, count - len(trials))
        for _ in range(kills):
            process = begin(run)
            time.sleep(draw.uniform(0.0, whole))
            process.send_signal(signal.SIGKILL)
            process.communicate()
        trials += [judge(run)] * kills
        shutil.rmtree(run, ignore_errors=True)
    return trials
