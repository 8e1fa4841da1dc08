"""The one restrained style of the report's figures; no pyplot, no display, no global state."""

from __future__ import annotations

import io
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

INK, MUTED, RULE = "#1f2933", "#65737e", "#d9dee3"
COLOURS = {"clean": "#8a97a3", "attacked": "#d97706", "certified": "#0f766e"}
GAP, APART = "not known", "other images or means"

STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.titlecolor": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": RULE,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#edf0f2",
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.solid_capstyle": "round",
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "figure.facecolor": "white",
    "svg.hashsalt": "rt_tf",
}
styled = matplotlib.rc_context(STYLE)


@styled
def encode(figure: Figure, form: Literal["svg", "png"] = "svg", dpi: int = 144) -> bytes:
    """The figure as SVG or PNG, the same bytes for the same figure."""
    buffer = io.BytesIO()
    metadata: dict[str, Any] = {"Date": None} if form == "svg" else {"Software": None}
    figure.savefig(buffer, format=form, dpi=dpi, metadata=metadata)
    return buffer.getvalue()


def panel(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure of one panel; its size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def legend(axes: Axes) -> None:
    """Draws the legend: inside a titled panel, else in one row above its right end."""
    named = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    ordered = sorted(named, key=lambda label: (label == GAP, label == APART))
    place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0)}
    place |= {"ncols": max(1, len(named)), "columnspacing": 1.4}
    if axes.get_title("left"):
        place = {"loc": "best"}
    if named:
        axes.legend([named[label] for label in ordered], ordered, handlelength=1.4, **place)


def as_share(axes: Axes) -> None:
    """The y axis from 0 to 100 %."""
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylim(-0.02, 1.02)
