"""Figures of a comparison: a line for each run, in the colour of its system."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row
from rt_tf.reporting.comparison.comparing import Comparison, common_images, measured, restricted
from rt_tf.reporting.comparison.runs import Run, common_radii
from rt_tf.reporting.figures.curves import unit_of
from rt_tf.reporting.figures.style import as_share, legend, panel, styled
from rt_tf.reporting.lines import lines

WATCHED = ("clean", "attacked", "verified")  # on the validation split, while training


class Curve(NamedTuple):
    """An accuracy of all runs against the radius, on the same images. by_run: a line each."""

    accuracy: str
    images: int
    by_run: list[Row | None]


def curve(comparison: Comparison, accuracy: str) -> Curve:
    """The lines of an accuracy through all radii at which every run has verdicts.

    Each is of the images that all runs have at all of these radii, and by one means (`lines`); None
    for a run without such a line.
    """
    runs = _runs(comparison)
    radii = [
        eps
        for eps in common_radii(runs)
        if all(measured(run.by_eps[eps], accuracy) for run in runs)
    ]
    images = common_images([run.by_eps[eps] for run in runs for eps in radii], accuracy)
    questions = [[restricted(run.by_eps[eps], images) for eps in radii] for run in runs]
    return Curve(accuracy, len(images), [_line(of_run, accuracy) for of_run in questions])


def _line(questions: Sequence[Question], accuracy: str) -> Row | None:
    return next((line for line in lines(questions) if line["accuracy"] == accuracy), None)


@styled
def accuracy_curve(comparison: Comparison, drawn: Curve) -> Figure | None:
    """The lines of a curve; None where no run has one."""
    if not any(drawn.by_run):
        return None
    figure, axes = panel(6.4, 3.6)
    for run, line, style in zip(_runs(comparison), drawn.by_run, _styles(comparison), strict=True):
        if line:
            eps = [point["epsilon"] for point in line["points"]]
            rates = [point["rate"]["rate"] for point in line["points"]]
            axes.plot(eps, rates, marker="o", markersize=3, gid=run.folder, **style)
    unit = unit_of({"threat": comparison.threat, "domain": comparison.domain})
    axes.set(xlabel=f"eps ({unit})", ylabel=f"{drawn.accuracy} accuracy")
    axes.set_xlim(left=0.0)
    as_share(axes)
    legend(axes)
    return figure


@styled
def training_curves(comparison: Comparison) -> Figure | None:
    """The loss and the accuracies on the validation split against the step, a line for each run."""
    runs = _runs(comparison)
    if not any(run.history for run in runs):
        return None
    figure = Figure(figsize=(9.6, 5.6), layout="constrained")
    grid = figure.subplots(2, 2, sharex=True)
    for axes, name in zip(grid.ravel(), ("loss", *WATCHED), strict=True):
        for run, style in zip(runs, _styles(comparison), strict=True):
            steps, values = [row["step"] for row in run.history], _values(run.history, name)
            marker = "o" if np.isfinite(values).sum() == 1 else None  # which a line would not show
            axes.plot(steps, values, gid=run.folder, marker=marker, **style)
        axes.set_title("loss" if name == "loss" else f"{name} accuracy, validation")
        if name != "loss":
            as_share(axes)
    legend(grid[0, 0])
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    for axes in grid[1]:
        axes.set_xlabel("step")
    return figure


def _values(history: Sequence[Row], name: str) -> list[float]:
    """A loss or an accuracy by row; NaN where it was not measured, at which a line has a gap."""
    values = [row.get(name) if name == "loss" else row["validation"].get(name) for row in history]
    return [math.nan if value is None else value for value in values]


def _runs(comparison: Comparison) -> list[Run]:
    return [run for system in comparison.systems for run in system.runs]


def _styles(comparison: Comparison) -> list[dict[str, Any]]:
    """Colour, dashes and label of each run's line; the first run of a system names it."""
    colours = matplotlib.color_sequences["tab10"]
    dashes = ("-", "--", ":", "-.")
    return [
        {
            "color": colours[place % len(colours)],
            "linestyle": dashes[place // len(colours) % len(dashes)],
            "label": "_seed" if number else system.name,
            "linewidth": 1.4,
        }
        for place, system in enumerate(comparison.systems)
        for number, _ in enumerate(system.runs)
    ]
