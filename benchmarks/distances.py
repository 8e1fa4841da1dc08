"""Accuracy of several networks by eps, from the distances of the counterexamples of one attack.

    python -m benchmarks.distances RUN... --threat=wasserstein --attack=adaptive [--figure=FILE]

Of each run the question of the largest radius counts that the attack was asked; an image withstands
up to the distance of its counterexample, if there is one. Wong 2020 (thesis), figure 5.4 is such a
figure.
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

SHARES = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0)  # of the radius asked: the table's columns


class Reach(NamedTuple):
    """A run's name, the radius asked, and the distance of each image's counterexample or infinity.

    An image that is misclassified as it is has distance zero.
    """

    name: str
    eps: float
    distances: np.ndarray

    def accuracy(self, eps: np.ndarray) -> np.ndarray:
        """The share of images that withstand the attack in a ball."""
        return (self.distances[:, np.newaxis] > eps).mean(axis=0)


def reach(run: Path, threat: str, attack: str) -> Reach:
    """UserError where the attack was not asked."""
    asked = [
        (question, name)
        for question in merge.load(run / "records")
        for name, settings in question.attacks.items()
        if question.threat == threat and settings["attack"] == attack
    ]
    if not asked:
        raise UserError(f"runs: expected records of {attack} on {threat}; {run} has none")
    question, name = max(asked, key=lambda pair: pair[0].eps)
    found = [
        distance(row["correct"], row["attacks"][name])
        for row in question.rows
        if name in row["attacks"]
    ]
    return Reach(run.name, question.eps, np.array(found))


def distance(correct: bool, tried: dict) -> float:
    """Of an example's counterexample."""
    if not correct:
        return 0.0
    return tried["distance"] if tried["success"] else np.inf


def listed(distances: np.ndarray) -> list[float | None]:
    """The distances as JSON has them: None where no counterexample was found."""
    return [round(float(size), 5) if np.isfinite(size) else None for size in distances]


def show(found: list[Reach]) -> None:
    """Prints the table."""
    largest = max(one.eps for one in found)
    radii = largest * np.array(SHARES)
    columns = ("network", *(radius_text(eps) for eps in radii), "median eps", "images")
    table = Table(*columns, title="accuracy in % by eps")
    for one in found:
        shares = [f"{100 * share:.1f}" for share in one.accuracy(radii)]
        middle = np.median(one.distances)
        median = f"{middle:.2f}" if middle <= one.eps else f"> {one.eps:g}"
        table.add_row(one.name, *shares, median, f"{len(one.distances):,}")
    Console(highlight=False).print(table)


@styled
def draw(found: list[Reach], threat: str) -> Figure:
    """Accuracy against eps, a line a network."""
    figure, axes = panel(7.2, 3.4)
    for one in found:
        eps = np.linspace(0.0, one.eps, 201)
        axes.plot(eps, one.accuracy(eps), label=one.name)
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
    parser.add_argument("--attack", default="adaptive", help="whose distances count")
    parser.add_argument("--figure", type=Path, help="SVG file to draw the curves to")
    parser.add_argument("--json", type=Path, help="file to write the distances to")
    arguments = parser.parse_args()
    with one_line_errors():
        found = [reach(run, arguments.threat, arguments.attack) for run in arguments.runs]
    show(found)
    if arguments.figure:
        arguments.figure.write_bytes(encode(draw(found, arguments.threat)))
    if arguments.json:
        told = {one.name: {"eps": one.eps, "distances": listed(one.distances)} for one in found}
        arguments.json.write_text(json.dumps(told) + "\n")


if __name__ == "__main__":
    main()
