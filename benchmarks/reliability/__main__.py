"""Harms that runs survive, or refuse in one line: a table, every row of which is to hold.

    python -m benchmarks.reliability [--share=1.0] [--seed=0] [--json=FILE] [names ...]

A small run is trained, certified, attacked and reported. Then it is killed at random moments, on
one process and on a cluster, its files are damaged, its disk is full, its folders have odd names.
After each harm the same command is given again, and must come to the figures of the undisturbed run
(network, and verdict and rung of every example), or say in one line why it cannot. `--share` of the
harms: 1 takes about three hours on two cores.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.reliability import damage, kills, places, runs
from benchmarks.reliability.runs import Trial
from rt_tf.files import write_text

Harm = Callable[[Path, Path, int, random.Random], list[Trial]]
HARMS: dict[str, tuple[Harm, int]] = {  # and how often it is done
    "killed": (kills.of_runs, 150),
    "killed on a cluster": (kills.of_clusters, 50),
    "damaged checkpoints": (damage.of_checkpoints, 30),
    "another network's checkpoints": (damage.of_others, 1),
    "damaged finished runs": (damage.of_finished_runs, 60),
    "no room": (places.without_room, 20),
    "odd names": (places.odd_names, 1),
    "stale locks": (places.stale_locks, 1),
    "damaged data": (places.poisoned_data, 20),
    "wrong data": (places.wrong_data, 1),
}
Results = dict[str, list[Trial]]


def harmed(names: list[str], share: float, seed: int, folder: Path) -> Results:
    """The trials of harms, by name. share: of their numbers."""
    reference = folder / "reference"
    end = runs.train(reference)
    if end.status:
        sys.exit("\n".join(end.errors))
    results = {}
    for name in names:
        harm, count = HARMS[name]
        own = folder / name.replace(" ", "-")
        own.mkdir()
        results[name] = harm(own, reference, max(1, round(share * count)), random.Random(seed))
        held = sum(trial.held for trial in results[name])
        print(f"{name}: {held} of {len(results[name])} held", flush=True)
    return results


def table(results: Results) -> Table:
    """A row for each harm, with the first one that did not hold."""
    shown = Table("harm", "times", "held", "the first that did not")
    for name, trials in results.items():
        failed = [trial.what for trial in trials if not trial.held]
        held = len(trials) - len(failed)
        shown.add_row(name, str(len(trials)), str(held), failed[0] if failed else "")
    return shown


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *HARMS], help="harms; all by default")
    parser.add_argument("--share", type=float, default=1.0, help="of the number of each harm")
    parser.add_argument("--seed", type=int, default=0, help="of moments and places")
    parser.add_argument("--json", type=Path, help="a file for all trials")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        names = arguments.names or list(HARMS)
        results = harmed(names, arguments.share, arguments.seed, Path(folder))
    Console(width=160).print(table(results))
    if arguments.json:
        rows = {name: [trial._asdict() for trial in trials] for name, trials in results.items()}
        write_text(arguments.json, json.dumps(rows, indent=1) + "\n")
    if any(not trial.held for trials in results.values() for trial in trials):
        sys.exit("a harm did not hold")


if __name__ == "__main__":
    main()
