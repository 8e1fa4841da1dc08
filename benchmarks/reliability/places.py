"""Runs without room, in folders of odd names, on data that are wrong, beside stale locks."""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.reliability import runs
from benchmarks.reliability.damage import harm
from benchmarks.reliability.runs import Trial

NAMES = ("with a space", "naïve-ünïcode-数字", "(round)", "quote's", "semi;colon", "%40", "-dash")
NO_MODEL_DIR = ("[square]", "star*", "what?")


def without_room(folder: Path, reference: Path, count: int, draw: random.Random) -> list[Trial]:
    """A limit on files' sizes, which stands in for a full disk, of any size; then none."""
    wanted = runs.figures(reference)
    trials = []
    for number in range(count):
        run, limit = folder / f"full-{number}", int(2.0 ** draw.uniform(0.0, 12.0))
        full = runs.train(run, before=f"ulimit -f {limit}; trap '' XFSZ")
        what = f"{limit} KiB: {' '.join(full.errors[:1])}"
        if full.status and not full.is_refusal:
            trials.append(Trial(False, f"{what} {full.errors[-1:]}"))
        else:
            trials.append(runs.same(run, wanted, runs.train(run))._replace(what=what))
        shutil.rmtree(run, ignore_errors=True)
    return trials


def odd_names(folder: Path, reference: Path, count: int, draw: random.Random) -> list[Trial]:
    """Runs and data in folders of odd names."""
    del count, draw
    wanted = runs.figures(reference)
    trials = []
    for name in (*NAMES, *NO_MODEL_DIR):
        run = folder / name
        end = runs.train(run, f"--data_dir={folder / 'data' / name}")
        trial = runs.same_or_refused(run, wanted, end)
        trials.append(trial._replace(what=f"{name}: {trial.what}"))
    return trials


def stale_locks(folder: Path, reference: Path, count: int, draw: random.Random) -> list[Trial]:
    """A lock that a process left which is no more, or is another one now."""
    del count, draw
    wanted = runs.figures(reference)
    trials: list[Trial] = []
    for text in ("1\n", "999999999\n", "", "no number\n"):
        run = folder / f"lock-{len(trials)}"
        run.mkdir()
        (run / "lock").write_text(text)
        trials.append(runs.same(run, wanted, runs.train(run)))
    return trials


def poisoned_data(folder: Path, reference: Path, count: int, draw: random.Random) -> list[Trial]:
    """Prepared data that were damaged: the same figures, or a line."""
    wanted = runs.figures(reference)
    own = [f"--{name}_dir={folder / name}" for name in ("data", "cache")]
    runs.train(folder / "prepared", *own)
    trials = []
    for number in range(count):
        data = shutil.copytree(folder / "data", folder / f"data-{number}")
        file = draw.choice([path for path in sorted(data.rglob("*")) if path.is_file()])
        what = f"{file.name} {harm(file, draw)}"
        run = folder / f"poisoned-{number}"
        words = [f"--data_dir={data}", f"--cache_dir={folder / f'cache-{number}'}"]
        trial = runs.same_or_refused(run, wanted, runs.train(run, *words))
        trials.append(trial._replace(what=f"{what}: {trial.what}"))
    return trials


def _images() -> dict[str, np.ndarray]:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (60, 8, 8, 1), np.uint8)
    labels = np.arange(60) % 10
    return {
        "train_images": images,
        "train_labels": labels,
        "test_images": images,
        "test_labels": labels,
    }


def _nan(arrays: dict[str, np.ndarray]) -> None:
    arrays["train_images"] = (arrays["train_images"] / 255.0).astype(np.float32)
    arrays["test_images"] = (arrays["test_images"] / 255.0).astype(np.float32)
    arrays["train_images"][3, 2, 2] = np.nan


def _label(arrays: dict[str, np.ndarray]) -> None:
    arrays["train_labels"][5] = -1


def _lengths(arrays: dict[str, np.ndarray]) -> None:
    arrays["test_labels"] = arrays["test_labels"][:-1]


def _shape(arrays: dict[str, np.ndarray]) -> None:
    arrays["test_images"] = arrays["test_images"][:, :4]


WRONG: dict[str, Callable[[dict[str, np.ndarray]], None]] = {
    "pixels that are no numbers": _nan,
    "a label below 0": _label,
    "fewer labels than images": _lengths,
    "test images of another shape": _shape,
}


def wrong_data(folder: Path, reference: Path, count: int, draw: random.Random) -> list[Trial]:
    """Own data that cannot be meant: each is refused in a line."""
    del reference, count, draw
    trials: list[Trial] = []
    for name, spoil in WRONG.items():
        arrays = _images()
        spoil(arrays)
        file = folder / "own.npz"
        np.savez(file, allow_pickle=False, **arrays)
        end = runs.train(folder / f"own-{len(trials)}", f"--dataset={file}", "--batch_size=20")
        trials.append(Trial(end.is_refusal, f"{name}: {' | '.join(end.errors[-2:])}"))
    return trials
