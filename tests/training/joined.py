"""Training steps of one of several processes, or of one alone; a process of its own.

    python -m tests.training.joined <data folder> <folder of results> <steps> < cases

Cases are lines of a name and flags. The first process writes losses and weights of each case. With
TF_CONFIG in its environment the process joins the others.
"""

import os
import sys
from pathlib import Path

import numpy as np

from pipelines.assembly import devices
from pipelines.runs.place import here
from tests.training.replicated import trained


def main() -> None:
    """Takes the steps of each case, and ends at once, as followers do."""
    folder, steps, place = Path(sys.argv[2]), int(sys.argv[3]), here("auto")
    strategy = devices.strategy("auto", place=place)
    for line in sys.stdin.read().splitlines():
        name, *arguments = line.split()
        losses, weights = trained(strategy, steps, arguments, folder / name)
        if not place.number:
            np.savez(folder / f"{name}.npz", np.array(losses), *weights)
    os._exit(0)


if __name__ == "__main__":
    main()
