"""Figures of networks in the plane: their decision regions, and the outputs that they reach.

Source: Wong 2020 (thesis), figures 3.3 to 3.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle

from rt_tf.reporting.figures.polytopes import Polytope
from rt_tf.reporting.figures.style import INK, MUTED, styled

SIDES = ListedColormap(["#cfe8e5", "#fbe3c8"])
DOTS = ("#0f766e", "#d97706")
REACHED = "#b4bdc6"
OUTER = {"interval": "#b91c1c", "dual": "#0f766e", "crown": "#0f766e", "alpha_crown": "#1d4ed8"}
OTHERS = ("#7c3aed", "#be185d", "#4d7c0f")
BEYOND = 2.5  # times the size of the least polygon: larger ones leave the panel


class Points(NamedTuple):
    """Points of the unit square.

    places: [points, 2]. labels: [points], 0 or 1. eps: the radius of the boxes around them.
    """

    places: np.ndarray
    labels: np.ndarray
    eps: float

    def crossed(self, answers: np.ndarray) -> np.ndarray:
        """Whether each point's box has another answer than its label: [points].

        answers: on a grid of the unit square, [n, n].
        """
        axis = np.linspace(0.0, 1.0, len(answers))
        near = [np.abs(self.places[:, [k]] - axis) <= self.eps for k in (0, 1)]
        inside = near[0][:, :, np.newaxis] & near[1][:, np.newaxis]
        return (inside & (answers != self.labels[:, np.newaxis, np.newaxis])).any(axis=(1, 2))


@styled
def decision_regions(answers: Mapping[str, np.ndarray], points: Points) -> Figure:
    """The answers of each network on a grid of the unit square, [n, n], and the points' boxes."""
    figure, panels = _panels(1, len(answers), 3.3)
    for axes, (title, grid) in zip(panels.ravel(), answers.items(), strict=True):
        axes.imshow(grid.T, cmap=SIDES, vmin=0, vmax=1, origin="lower", extent=(0, 1, 0, 1))
        crossed = points.crossed(grid)
        for place, label, cross in zip(points.places, points.labels, crossed, strict=True):
            axes.add_patch(_box(place, points.eps, cross))
            axes.plot(*place, "o", color=DOTS[label], markersize=4.5)
        axes.set_title(f"{title}: {crossed.sum()} of {len(crossed)} boxes crossed")
        axes.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
        axes.grid(visible=False)
    return figure


@styled
def polytopes(rows: Sequence[Mapping[str, Polytope]]) -> Figure:
    """A panel for every polytope, in rows, with titles."""
    side = 3.0 if len(rows) == 1 else 2.3
    figure, panels = _panels(len(rows), max(map(len, rows)), side)
    for line, row in zip(panels, rows, strict=True):
        for axes, (title, polytope) in zip(line, row.items(), strict=True):
            _reached(axes, polytope)
            axes.set_title(title)
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _panels(rows: int, columns: int, side: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(side * columns, side * rows + 0.3), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _box(place: np.ndarray, eps: float, crossed: bool) -> Rectangle:
    style: dict[str, Any] = {"linewidth": 1.6} if crossed else {"linewidth": 0.9}
    colour = OUTER["interval"] if crossed else INK
    return Rectangle(tuple(place - eps), 2 * eps, 2 * eps, fill=False, edgecolor=colour, **style)


def _reached(axes: Axes, polytope: Polytope) -> None:
    """Draws the reached outputs, as the cells of their grid, and the polygons around them."""
    x, y = polytope.reached[..., 0], polytope.reached[..., 1]
    flat = np.zeros((len(x) - 1, len(x) - 1))
    cells: dict[str, Any] = {"edgecolors": "face", "linewidth": 0.4, "antialiased": False}
    axes.pcolormesh(x, y, flat, cmap=ListedColormap([REACHED]), **cells)
    colours = OUTER | dict(zip(sorted(polytope.outer.keys() - OUTER), OTHERS, strict=False))
    for name, corners in polytope.outer.items():
        line = Polygon(corners, fill=False, edgecolor=colours[name], linewidth=1.5, label=name)
        axes.add_patch(line)
    axes.set_xlim(*_view(polytope, 0))
    axes.set_ylim(*_view(polytope, 1))
    axes.tick_params(labelsize=7)
    _tell_beyond(axes, polytope)


def _view(polytope: Polytope, axis: int) -> tuple[float, float]:
    """The range of a panel: of all polygons that are not far larger than the least."""
    spans = [_span(corners, axis) for corners in polytope.outer.values()]
    least = min(high - low for low, high in spans)
    shown = [span for span in spans if span[1] - span[0] <= BEYOND * least]
    low, high = min(span[0] for span in shown), max(span[1] for span in shown)
    return low - 0.08 * (high - low), high + 0.08 * (high - low)


def _span(corners: np.ndarray, axis: int) -> tuple[float, float]:
    return float(corners[:, axis].min()), float(corners[:, axis].max())


def _tell_beyond(axes: Axes, polytope: Polytope) -> None:
    """Writes below a panel the widths of polygons that are too wide for it."""
    low, high = _view(polytope, 0)
    widths = {name: np.ptp(corners[:, 0]) for name, corners in polytope.outer.items()}
    far = [f"{n}: {w / (high - low):.0f} x the panel" for n, w in widths.items() if w > high - low]
    axes.set_xlabel("; ".join(far), fontsize=7, color=MUTED)
