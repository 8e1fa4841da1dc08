"""Certified radii as a figure: in increasing order, and as verified accuracy against eps."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from rt_tf.records.record_file import Row
from rt_tf.reporting.figures.curves import unit_of
from rt_tf.reporting.figures.style import COLOURS, GAP, as_share, legend, styled

RIGHT = LinearSegmentedColormap.from_list("right", ["#b4483a", "#e8c547", COLOURS["certified"]])


@styled
def certified_radii(radius: Row) -> Figure:
    """The certified radii as two panels.

    Left the radii, coloured by the share of right answers (thesis, figure 3.7); right the curve
    over eps.
    """
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    unit = unit_of(radius)
    _distribution(figure, left, radius["distribution"])
    left.set(xlabel="examples, by growing radius", ylabel=f"certified radius ({unit})")
    left.set_title("certified radius")
    right.set_title("verified accuracy")
    _curve(right, radius["curve"])
    right.set(xlabel=f"eps ({unit})", ylabel="accuracy")
    return figure


def _distribution(figure: Figure, axes: Axes, groups: list[Row]) -> None:
    sizes = np.array([group["n"] for group in groups])
    places = np.cumsum(sizes) - 0.5 * sizes
    points = axes.scatter(
        places,
        [group["median"] for group in groups],
        c=[group["correct"] for group in groups],
        cmap=RIGHT,
        vmin=0.0,
        vmax=1.0,
        s=14,
    )
    bar = figure.colorbar(points, ax=axes, pad=0.02, format=PercentFormatter(1.0, decimals=0))
    bar.set_label("right")
    axes.set_ylim(bottom=0.0)


def _curve(axes: Axes, curve: list[Row]) -> None:
    """Steps between the curve's radii: a lower limit from the right, an upper from the left."""
    eps = [row["epsilon"] for row in curve]
    measured = [what for what in ("attacked", "certified") if curve[0][what]]
    rates = {what: [row[what]["rate"] for row in curve] for what in measured}
    steps = {w: values[1:] if w == "certified" else values[:-1] for w, values in rates.items()}
    for what, values in steps.items():
        axes.stairs(values, eps, color=COLOURS[what], label=what, baseline=None, linewidth=1.8)
    if "attacked" in steps:
        style: dict[str, Any] = {"color": COLOURS["attacked"], "alpha": 0.12, "linewidth": 0}
        low, high = ([*steps[what], steps[what][-1]] for what in ("certified", "attacked"))
        axes.fill_between(eps, low, high, step="post", label=GAP, **style)
    axes.set_xlim(0.0, eps[-1])
    as_share(axes)
    legend(axes)
