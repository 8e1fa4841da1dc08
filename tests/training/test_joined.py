"""Two processes take the steps of one: weight by weight, over connections of this machine."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.together import placed
from tests.processes import addresses, begun
from tests.training.test_mirrored import OTHERS, QUICK, SYSTEMS


def results(folder: Path, data: Path, count: int, cases: dict[str, str], steps: int) -> Path:
    """The folder of losses and weights that so many processes come to."""
    place = folder / str(count)
    place.mkdir()
    lines = "".join(f"{name} --epochs=2 {flags}\n" for name, flags in cases.items())
    workers = addresses(count)
    processes = [
        begun(
            "tests.training.joined",
            [str(data), str(place), str(steps)],
            placed(workers, k) if count > 1 else None,
        )
        for k in range(count)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(lines)
        process.stdin.close()
        process.stdin = None
    for process in processes:
        errors = process.communicate(timeout=1500)[1]
        assert process.returncode == 0, errors[-3000:]
    return place


def apart(one: Path, several: Path) -> tuple[float, float]:
    """How far apart losses, as a share of them, and weights are."""
    (losses, *weights), (others, *far) = (
        [file[name] for name in file.files] for file in (np.load(one), np.load(several))
    )
    loss = np.abs((losses - others) / losses).max()
    return loss, max(np.abs(a - b).max() for a, b in zip(weights, far, strict=True))


def distances(
    folder: Path, data: Path, cases: dict[str, str], steps: int
) -> Iterator[tuple[str, float, float]]:
    """Yields the name of each case, and how far apart losses and weights are."""
    one, two = (results(folder, data, count, cases, steps) for count in (1, 2))
    for name in cases:
        yield name, *apart(one / f"{name}.npz", two / f"{name}.npz")


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(digits_dir: Path, tmp_path: Path) -> None:
    cases = {"normalised": QUICK["normalised"], "previous": QUICK["previous"]}
    for name, loss, weights in distances(tmp_path, digits_dir, cases, 4):
        assert loss < 2e-5, name
        assert weights < 2e-6, name


@pytest.mark.slow
@pytest.mark.parametrize("normalised", [False, True])
def test_every_system_takes_the_same_steps_on_two_processes(
    digits_dir: Path, tmp_path: Path, normalised: bool
) -> None:
    """Up to rounding, and an attack's step or two whose sign rounding decides."""
    common = " --batch_norm" if normalised else ""
    cases = {name: flags + common for name, flags in {**SYSTEMS, **OTHERS}.items()}
    if normalised:
        cases.pop("colt")  # it is refused: a latent region has no clean pass
    for name, loss, weights in distances(tmp_path, digits_dir, cases, 20):
        assert loss < 2e-3, name
        assert weights < 2e-3, name
