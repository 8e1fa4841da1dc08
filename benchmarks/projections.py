"""The cost of a bound by the number of hidden units: exact, and by random projections.

    python -m benchmarks.projections [--figure=FILE] [--json=FILE] [--limit=20]

One image of MNIST's size, two hidden layers of equal width (a 3 x 3 convolution and a depthwise
one), ever more filters, 10 Cauchy vectors: as in Wong 2020 (thesis), figure 3.20, where the exact
method ran out of memory at 53,000 units. Every point is measured in a process of its own, so that
its largest memory is known; a method ends with the first point that takes more than `--limit`
seconds.
"""

import argparse
import json
import multiprocessing
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks.timing import Job, peak_mib
from rt_tf import catalogue
from rt_tf.bounds.result import margin_spec
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

METHODS: dict[str, dict[str, Any]] = {"cauchy": {"projections": 10}, "dual": {}}
NAMES = {"cauchy": "10 Cauchy projections", "dual": "exact"}
FILTERS = [1, 2, 5, 10, 20, 50, 100, 200, 400, 640]
UNITS = 2 * 28 * 28  # hidden units of each filter
EPS = 0.1
CLASSES = 10
ROUNDS = 5


def measure(method: str, filters: int) -> dict[str, Any]:
    """The seconds of one bound, and the MiB of memory that it takes."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(filters, 3, padding="same", activation="relu"),
            layers.DepthwiseConv2D(3, padding="same", activation="relu"),
            layers.Flatten(),
            layers.Dense(CLASSES),
        ]
    )
    wiring, bound = trace(model), catalogue.resolve("bound", method)
    x = tf.constant(np.random.default_rng(0).random((1, 28, 28, 1), np.float32))
    spec = margin_spec(tf.argmax(model(x), axis=-1), CLASSES)

    @tf.function(autograph=False)
    def run(x: tf.Tensor) -> tf.Tensor:
        return bound(wiring.lower(), Region(Linf(), x, EPS), spec, **METHODS[method]).margins

    before = peak_mib()
    job = Job(lambda: run(x).numpy())
    for _ in range(ROUNDS):
        job.turn()
    return {
        **{"method": method, "units": UNITS * filters},
        **{"seconds": job.median, "mib": peak_mib() - before},
    }


def all_points(limit: float) -> list[dict[str, Any]]:
    """The points of every method, at every size that it reaches in time."""
    points = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for method in METHODS:
            for filters in FILTERS:
                points.append(pool.apply(measure, (method, filters)))
                if points[-1]["seconds"] > limit:
                    break
    return points


def growth(points: list[dict[str, Any]]) -> float:
    """The power of the number of units that the time grows with, over the larger half."""
    half = points[len(points) // 2 :]
    units, seconds = (np.log([point[key] for point in half]) for key in ("units", "seconds"))
    return float(np.polyfit(units, seconds, deg=1)[0])


def draw(points: list[dict[str, Any]]) -> Figure:
    """A figure of time and memory by hidden units."""
    figure = Figure(figsize=(7.5, 3.2), layout="constrained")
    for axes, key, label in zip(
        figure.subplots(1, 2), ("seconds", "mib"), ("seconds an image", "MiB"), strict=True
    ):
        for method, name in NAMES.items():
            of_method = [point for point in points if point["method"] == method]
            axes.loglog(
                [p["units"] for p in of_method], [p[key] for p in of_method], "o-", label=name
            )
        axes.set(xlabel="hidden units", ylabel=label)
        axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def show(points: list[dict[str, Any]]) -> None:
    """Prints the points, and the power of the units with which the time grows."""
    table = Table("method", "hidden units", "seconds", "MiB")
    for point in points:
        units, mib = f"{point['units']:,}", f"{point['mib']:,.0f}"
        table.add_row(NAMES[point["method"]], units, f"{point['seconds']:.3g}", mib)
    console = Console(highlight=False)
    console.print(table)
    for method, name in NAMES.items():
        of_method = [point for point in points if point["method"] == method]
        if len(of_method) > 2:  # its larger half makes a line
            console.print(f"{name}: time grows with the units to the power {growth(of_method):.2f}")


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--figure", help="file to draw the curves to: svg, png or pdf")
    parser.add_argument("--json", help="file to write the figures to")
    parser.add_argument("--limit", type=float, default=20.0, help="seconds a bound may take")
    arguments = parser.parse_args()
    points = all_points(arguments.limit)
    show(points)
    if arguments.figure:
        draw(points).savefig(arguments.figure)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(points, indent=1) + "\n")


if __name__ == "__main__":
    main()
