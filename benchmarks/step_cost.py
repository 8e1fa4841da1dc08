"""The cost of a training step, against this library's natural step in the same run.

    python -m benchmarks.step_cost [--rounds=40] [--json=FILE]

MNIST small, batch 100, float32, made-up images. Systems take turns, a step each a round, so that a
machine whose speed drifts slows all alike; the medians are compared. `floor` is the time that the
natural network's multiply-adds would take at the rate of a large matrix product on this machine,
times the passes that the system needs; `of floor` is its share of the step's time.
`epoch` compares an epoch of the input pipeline and steps with the steps alone.
"""

import argparse
import json
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.timing import Job, product_rate, seconds, surroundings
from rt_tf import catalogue, data, models
from rt_tf.data import Split
from rt_tf.threats.linf import Linf
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Attacked
from rt_tf.training.objectives.worst_case import WorstCase

BATCH = 100
CLASSES = 10
MULTIPLY_ADDS = 14 * 14 * 16 * 16 + 7 * 7 * 32 * 256 + 1568 * 100 + 100 * 10  # of one image
TARGETS = {"natural": 1.0, "fgsm": 2.2, "pgd-10": 6.0, "ibp": 2.2, "crown-ibp": 13.0}
TARGETS |= {"mixtrain k = 1 of 50": 1.6}
# Passes through the network for one image: a value forward, and a gradient to values or weights.
PASSES = {
    "natural": 3.0,
    "fgsm": 5.0,
    "pgd-10": 23.0,
    "ibp": 9.0,
    "crown-ibp": 9.0 + 3.0 * (CLASSES - 1),
    "mixtrain k = 1 of 50": 3.0 + (6.0 + 3.0 * (CLASSES - 1)) / 50,
}


def objectives() -> dict[str, Objective]:
    """The objectives of the systems that are compared, by name."""
    threat = Linf()
    fgsm, pgd = catalogue.attack("fgsm"), catalogue.attack("pgd", {"steps": 10})
    interval, crown_ibp = (catalogue.resolve("bound", n) for n in ("interval", "crown_ibp"))
    return {
        "natural": Objective(threat),
        "fgsm": Objective(threat, Attacked(fgsm)),
        "pgd-10": Objective(threat, Attacked(pgd)),
        "ibp": Objective(threat, bound=WorstCase(interval)),
        "crown-ibp": Objective(threat, bound=WorstCase(crown_ibp)),
        "mixtrain k = 1 of 50": Objective(threat, bound=WorstCase(crown_ibp, samples=2)),
    }


def made_up(examples: int) -> Split:
    """Random images of MNIST's shape."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (examples, 28, 28, 1), np.uint8)
    labels = draw.integers(0, CLASSES, examples)
    return Split("train", pixels, labels, np.arange(examples), 255)


def step(objective: Objective) -> Callable[[Any], Any]:
    """A compiled training step."""
    model = RobustModel(models.build("wong_small", (28, 28, 1), CLASSES, init="shi"))
    model.compile(keras.optimizers.Adam(1e-3), objective=objective)
    model.eps.assign(0.1)
    model.kappa.assign(0.5)
    return tf.function(lambda batch: model.step(*batch[:2])._asdict(), autograph=False)


def epoch_overhead(natural: Callable[[Any], Any], examples: int = 20_000) -> float:
    """The time of an epoch of batches and steps over that of as many steps on one batch."""
    split = made_up(examples)

    def fed() -> None:
        for batch in data.batches(split, BATCH, 0, 0):
            natural(batch[:2])["loss"].numpy()

    one = next(iter(data.batches(split, BATCH, 0, 0)))[:2]

    def alone() -> None:
        for _ in range(examples // BATCH):
            natural(one)["loss"].numpy()

    ratios = [seconds(fed) / seconds(alone) for _ in range(10)]
    return statistics.median(ratios[1:])


def measure(rounds: int) -> dict[str, Any]:
    """All figures, as they are printed and written."""
    split = made_up(BATCH)
    batch = (tf.constant(split.images()), tf.constant(split.labels))
    steps = {name: step(objective) for name, objective in objectives().items()}

    def job(run: Callable[[Any], Any]) -> Job:
        return Job(lambda: run(batch)["loss"].numpy())

    jobs = {name: job(run) for name, run in steps.items()}
    for _ in range(rounds):
        for timed in jobs.values():
            timed.turn()
    medians = {name: job.median for name, job in jobs.items()}
    rate = product_rate()
    floors = {name: PASSES[name] * BATCH * MULTIPLY_ADDS / rate for name in steps}
    return {
        "milliseconds": {name: 1000 * value for name, value in medians.items()},
        "ratio": {name: value / medians["natural"] for name, value in medians.items()},
        "target": TARGETS,
        "of_floor": {name: floors[name] / value for name, value in medians.items()},
        "product_rate": rate,
        "epoch_over_steps": epoch_overhead(steps["natural"]),
        **surroundings(),
    }


def show(figures: dict[str, Any]) -> None:
    """Prints the table."""
    table = Table("step", "median ms", "x natural", "target", "of floor")
    for name, ratio in figures["ratio"].items():
        cells = (
            f"{figures['milliseconds'][name]:.1f}",
            f"{ratio:.2f}",
            f"{figures['target'][name]:g}",
        )
        table.add_row(name, *cells, f"{100 * figures['of_floor'][name]:.0f} %")
    console = Console(highlight=False)
    console.print(table)
    console.print(
        f"matrix product: {figures['product_rate'] / 1e9:.0f} G multiply-adds/s; an epoch costs "
        f"{figures['epoch_over_steps']:.2f} x its steps (target 1.1)"
    )


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40, help="steps of each system")
    parser.add_argument("--json", help="file to write the figures to")
    arguments = parser.parse_args()
    figures = measure(arguments.rounds)
    show(figures)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
