"""Training curves, margins and classes as figures; None where there is nothing to draw."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rt_tf.records.record_file import Row
from rt_tf.reporting.figures.style import COLOURS, INK, MUTED, RULE, as_share, legend, panel, styled

LOSSES = {"loss": INK, "point_loss": COLOURS["attacked"], "bound_loss": COLOURS["certified"]}
SHARES = {
    "clean": COLOURS["clean"],
    "attacked": COLOURS["attacked"],
    "verified": COLOURS["certified"],
}
SCHEDULES = {"eps": "eps", "kappa": "kappa", "learning_rate": "learning rate"}


@styled
def training_curves(history: Sequence[Row]) -> Figure | None:
    """Loss terms, accuracies on train and validation, and the schedules, against the step."""
    if not history:
        return None
    figure = Figure(figsize=(9.6, 5.0), layout="constrained")
    grid = figure.subplots(2, 3, sharex=True, height_ratios=[2, 1])
    _lines(grid[0, 0], history, {name: (name, colour) for name, colour in LOSSES.items()})
    grid[0, 0].set_title("loss")
    for axes, split in zip(grid[0, 1:], ("train", "validation"), strict=True):
        _lines(axes, [{**row, **row.get(split, {})} for row in history], _named(SHARES))
        axes.set_title(f"accuracy, {split}")
        as_share(axes)
    for axes, (key, title) in zip(grid[1], SCHEDULES.items(), strict=True):
        _lines(axes, history, {key: (title, MUTED)})
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.margins(y=0.15)
        axes.yaxis.set_major_formatter("{x:g}")
    _mark_phases(grid.ravel(), history)
    for axes in grid[0]:
        legend(axes)
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure


@styled
def margin_histogram(histogram: Row | None) -> Figure | None:
    """A histogram of the lower bounds of margins; right of 0 is certified."""
    if histogram is None:
        return None
    figure, axes = panel(7.2, 2.8)
    edges, counts = np.array(histogram["edges"]), np.array(histogram["counts"])
    proved = edges[:-1] >= 0
    for chosen, colour, label in (
        (proved, COLOURS["certified"], "certified: bound above 0"),
        (~proved, COLOURS["clean"], "not certified"),
    ):
        widths = np.diff(edges)[chosen]
        style: dict[str, Any] = {"align": "edge", "color": colour, "edgecolor": "white"}
        axes.bar(edges[:-1][chosen], counts[chosen], widths, linewidth=0.6, label=label, **style)
    axes.axvline(0, color=INK, linewidth=1)
    axes.set(xlabel="proved lower bound of the margin (logits)", ylabel="examples")
    axes.set_xlim(edges[0], edges[-1])
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    legend(axes)
    return figure


@styled
def class_bars(classes: Sequence[Row], names: Sequence[str]) -> Figure | None:
    """Clean, attacked and certified accuracy of each class, side by side. names: of the classes."""
    if not classes or len(classes) > 40:
        return None
    figure, axes = panel(7.2, 2.8)
    places = np.arange(len(classes))
    for shift, (what, colour) in zip((-1, 0, 1), COLOURS.items(), strict=True):
        rates = [(row[what] or {"rate": np.nan})["rate"] for row in classes]
        axes.bar(places + 0.27 * shift, rates, 0.25, color=colour, label=what)
    turned = 45 if sum(map(len, names)) > 60 else 0
    axes.set_xticks(places, list(names), rotation=turned, ha="right" if turned else "center")
    axes.set(xlabel="class", ylabel="accuracy")
    axes.grid(visible=False, axis="x")
    as_share(axes)
    legend(axes)
    return figure


def _named(colours: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    return {name: (name, colour) for name, colour in colours.items()}


def _lines(axes: Axes, history: Sequence[Row], keys: Mapping[str, tuple[str, str]]) -> None:
    """Values by step: a line ends where there are none, and one that mostly stays goes in steps."""
    steps = [row["step"] for row in history]
    for key, (label, colour) in keys.items():
        values = [math.nan if row.get(key) is None else row[key] for row in history]
        numbers = [value for value in values if not math.isnan(value)]
        if numbers:
            marker = "o" if len(numbers) == 1 else None
            style: Any = "steps-pre" if _stays(numbers) else "default"
            axes.plot(steps, values, color=colour, label=label, marker=marker, drawstyle=style)


def _stays(values: Sequence[float]) -> bool:
    """Whether more than half of all values are those before them."""
    return sum(a == b for a, b in pairwise(values)) > 0.5 * (len(values) - 1)


def _mark_phases(panels: Sequence[Axes], history: Sequence[Row]) -> None:
    pairs = pairwise(history)
    starts = [a["step"] for a, b in pairs if a.get("phase") != b.get("phase")]
    for axes in panels:
        for start in starts:
            axes.axvline(start, color=RULE, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
