"""Accuracy by eps of several networks, from the distances of one attack's counterexamples.

    python -m benchmarks.distances RUN... --threat=wasserstein --attack=adaptive [--figure=FILE]

Of each run the question of the largest radius counts at which the attack was run; an image
withstands up to the distance of its counterexample, if there is one. Wong 2020 (thesis), figure 5.4
is such a figure.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from pipelines.console import one_line_errors
from rt_tf.errors import UserError
from rt_tf.exactly import radius_text
from rt_tf.records import merge
from rt_tf.reporting.figures.curves import UNITS
from rt_tf.reporting.figures.style import as_share, encode, legend, panel, styled

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)  # of the attack's radius: the table's columns


class Reach(NamedTuple):
    """A run's name, the attack's radius, and the distance of each image's counterexample.

    distances: [images]; infinite where there is no counterexample, zero for misclassified images.
    """

    name: str
    eps: float
    distances: np.ndarray

    def accuracy(self, eps: np.ndarray) -> np.ndarray:
        """The share of images that withstand the attack at each radius: [radii]. eps: [radii]."""
        return (self.distances[:, np.newaxis] > eps).mean(axis=0)


def reach(run: Path, threat: str, attack: str) -> Reach:
    """The distances of an attack's counterexamples in a run; UserError where it was not run."""
    questions = [
        (question, name)
        for question in merge.load(run / "records")
        for name, settings in question.attacks.items()
        if question.threat == threat and settings["attack"] == attack
    ]
    if not questions:
        raise UserError(f"runs: expected records of {attack} on {threat}; {run} has none")
    question, name = max(questions, key=lambda pair: pair[0].eps)
    distances = [
        distance(row["correct"], row["attacks"][name])
        for row in question.rows
        if name in row["attacks"]
    ]
    return Reach(run.name, question.eps, np.array(distances))


def distance(correct: bool, tried: dict) -> float:
    """The distance of an example's counterexample. tried: its record of the attack."""
    if not correct:
        return 0.0
    return tried["distance"] if tried["success"] else np.inf


def listed(distances: np.ndarray) -> list[float | None]:
    """Distances for JSON, rounded; None where there is no counterexample."""
    return [round(float(size), 5) if np.isfinite(size) else None for size in distances]


def show(reaches: list[Reach]) -> None:
    """Prints the table."""
    largest = max(of_run.eps for of_run in reaches)
    radii = largest * np.array(SHARES)
    columns = ("network", *(radius_text(eps) for eps in radii), "median eps", "images")
    table = Table(*columns, title="accuracy in % by eps")
    for of_run in reaches:
        shares = [f"{100 * share:.1f}" for share in of_run.accuracy(radii)]
        middle = np.median(of_run.distances)
        median = f"{middle:.2f}" if middle <= of_run.eps else f"> {of_run.eps:g}"
        table.add_row(of_run.name, *shares, median, f"{len(of_run.distances):,}")
    Console(highlight=False).print(table)


@styled
def draw(reaches: list[Reach], threat: str) -> Figure:
    """A figure of accuracy against eps, with a line for each network."""
    figure, axes = panel(7.2, 3.4)
    for of_run in reaches:
        eps = np.linspace(0.0, of_run.eps, 201)
        axes.plot(eps, of_run.accuracy(eps), label=of_run.name)
    axes.set(xlabel=f"eps ({UNITS.get(threat, 'pixels in [0, 1]')})", ylabel="accuracy")
    axes.set_xlim(left=0.0)
    as_share(axes)
    legend(axes)
    return figure


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="directories of finished runs")
    parser.add_argument("--threat", default="wasserstein", help="of the question")
    parser.add_argument("--attack", default="adaptive", help="the attack of the distances")
    parser.add_argument("--figure", type=Path, help="SVG file to draw the curves to")
    parser.add_argument("--json", type=Path, help="file to write the distances to")
    arguments = parser.parse_args()
    with one_line_errors():
        reaches = [reach(run, arguments.threat, arguments.attack) for run in arguments.runs]
    show(reaches)
    if arguments.figure:
        arguments.figure.write_bytes(encode(draw(reaches, arguments.threat)))
    if arguments.json:
        figures = {
            of_run.name: {"eps": of_run.eps, "distances": listed(of_run.distances)}
            for of_run in reaches
        }
        arguments.json.write_text(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
