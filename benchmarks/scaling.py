"""Growth of a training step's time and memory with sizes.

    python -m benchmarks.scaling [--rounds=7] [--json=FILE]

The batch, the width, the depth, the classes and the side of the images of a small convolutional
network grow, each by itself; the table has the exponents of time and of memory beyond that of the
process between the last two points: 1 where a thing twice as large costs twice as much. Each point
is a process of its own, on one core. `benchmarks.together` is on several processes.
"""

import argparse
import itertools
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from rich.console import Console
from rich.table import Table

from rt_tf.files import write_text

SYSTEMS = ("natural", "pgd", "ibp", "crown_ibp", "crown")
BASE = {"batch": 32, "width": 8, "depth": 1, "classes": 10, "side": 16}
AXES = {
    "batch": (32, 64, 128),
    "width": (8, 16, 32),
    "depth": (1, 2, 4),
    "classes": (10, 100, 1000),
    "side": (16, 32, 64),
}
Figures = dict[str, Any]


class Point(NamedTuple):
    """A system and a size of its network and batch."""

    system: str
    batch: int
    width: int
    depth: int
    classes: int
    side: int

    def words(self) -> list[str]:
        """The flags that name the point."""
        return [f"--{name}={value}" for name, value in self._asdict().items()]


def points() -> dict[tuple[str, str], list[Point]]:
    """The points by system and axis, along which one size grows."""
    return {
        (system, axis): [Point(system, **{**BASE, axis: size}) for size in sizes]
        for system, (axis, sizes) in itertools.product(SYSTEMS, AXES.items())
    }


def growth(rounds: int) -> Figures:
    """The figures of each point, and the exponents by system and axis."""
    rows: Figures = {}
    for (system, axis), along in points().items():
        figures = [measured(point, rounds) for point in along]
        sizes = [getattr(point, axis) for point in along]
        row = {name: [figure[name] for figure in figures] for name in figures[0]}
        exponents = {name: exponent(sizes, values) for name, values in row.items()}
        rows.setdefault(system, {})[axis] = {"sizes": sizes, **row, "exponents": exponents}
    return rows


def measured(point: Point, rounds: int) -> Figures:
    """The milliseconds and the MiB of a step, in a process of its own; None without room."""
    words = [sys.executable, "-m", "benchmarks.scaling", "--point", f"--rounds={rounds}"]
    done = subprocess.run([*words, *point.words()], capture_output=True, text=True, check=False)
    if done.returncode:
        return {"milliseconds": None, "mib": None}
    return dict(json.loads(done.stdout.splitlines()[-1]))


def exponent(sizes: list[int], values: list[float | None]) -> float | None:
    """The slope of the logarithms between the last two points that have a value."""
    known = [(size, value) for size, value in zip(sizes, values, strict=True) if value]
    if len(known) < 2:
        return None
    (size, value), (larger, most) = known[-2:]
    return math.log(most / value) / math.log(larger / size)


def step_of(point: Point, rounds: int) -> Figures:
    """The median milliseconds of a point's step, and the MiB that it adds to the process's."""
    import keras
    import tensorflow as tf

    from benchmarks.timing import Job, peak_mib
    from rt_tf import catalogue
    from rt_tf.threats.linf import Linf
    from rt_tf.training.model import RobustModel
    from rt_tf.training.objectives.objective import Objective
    from rt_tf.training.objectives.point import Attacked
    from rt_tf.training.objectives.worst_case import WorstCase

    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    bounds = {"ibp": "interval", "crown_ibp": "crown_ibp_fused", "crown": "crown"}
    if point.system in bounds:
        bound = WorstCase(catalogue.resolve("bound", bounds[point.system]))
        objective = Objective(Linf(), bound=bound)
    elif point.system == "pgd":
        objective = Objective(Linf(), Attacked(catalogue.attack("pgd", {"steps": 10})))
    else:
        objective = Objective(Linf())
    keras.utils.set_random_seed(0)
    model = RobustModel(network(point))
    model.compile(keras.optimizers.Adam(1e-3), objective=objective)
    model.eps.assign(0.1)
    if point.system in bounds:
        model.kappa.assign(0.5)
    x = tf.random.stateless_uniform([point.batch, point.side, point.side, 3], [0, 0])
    labels = tf.range(point.batch, dtype=tf.int64) % point.classes
    before = peak_mib()
    step = tf.function(lambda: model.step(x, labels).loss, autograph=False)
    job = Job(lambda: step().numpy())
    for _ in range(rounds):
        job.turn()
    return {"milliseconds": 1000 * job.median, "mib": peak_mib() - before}


def network(point: Point) -> Any:
    """A convolutional network. depth: of its convolutions that keep the size of their input."""
    import keras

    layers = keras.layers
    options = {"padding": "same", "activation": "relu"}
    return keras.Sequential(
        [
            keras.Input([point.side, point.side, 3]),
            layers.Conv2D(point.width, 4, 2, **options),
            *(layers.Conv2D(point.width, 3, 1, **options) for _ in range(point.depth)),
            layers.Conv2D(2 * point.width, 4, 2, **options),
            layers.Flatten(),
            layers.Dense(8 * point.width, activation="relu"),
            layers.Dense(point.classes),
        ]
    )


def growth_table(rows: Figures) -> Table:
    """The exponents of time and memory by system and axis, with the ends of each."""
    table = Table(
        "system", *(f"{axis} {'-'.join(map(str, sizes))}" for axis, sizes in AXES.items())
    )
    for system, axes in rows.items():
        cells = []
        for row in axes.values():
            time_, memory = (row["exponents"][name] for name in ("milliseconds", "mib"))
            first, last = row["milliseconds"][0], row["milliseconds"][-1]
            ends = " - ".join("no room" if end is None else f"{end:.0f}" for end in (first, last))
            cells.append(f"{_shown(time_)} / {_shown(memory)} ({ends} ms)")
        table.add_row(system, *cells)
    table.caption = "exponents of time / of memory (milliseconds of the first and the last point)"
    return table


def _shown(number: float | None) -> str:
    return "-" if number is None else f"{number:.2f}"


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="timed steps of each point")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    parser.add_argument("--point", action="store_true", help="measure one point, in this process")
    parser.add_argument("--system", choices=SYSTEMS, default=SYSTEMS[0], help="of --point")
    for name, size in BASE.items():
        parser.add_argument(f"--{name}", type=int, default=size, help="of --point")
    arguments = parser.parse_args()
    if arguments.point:
        point = Point(arguments.system, *(getattr(arguments, name) for name in BASE))
        print(json.dumps(step_of(point, arguments.rounds)))
        return
    rows = growth(arguments.rounds)
    Console(width=160).print(growth_table(rows))
    if arguments.json:
        write_text(arguments.json, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
