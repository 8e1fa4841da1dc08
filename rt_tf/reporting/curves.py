"""Robustness curves: accuracies of one threat against its radius, and answers against time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rt_tf.reporting.drawing import COLOURS, GAP, MUTED, RULE, as_share, legend, panel, styled
from rt_tf.reporting.record_file import Row

MANY = 8  # radii above which intervals are bands, not bars
UNITS = {"union": "times the stated radii", "wasserstein": "share of the mass x pixels moved"}


@styled
def accuracy_by_eps(questions: Sequence[Row], main: float | None = None) -> Figure | None:
    """Clean, attacked and certified accuracy of one threat against eps; the gap is shaded.

    Intervals of 95 % are bars, or bands where there are many radii. main: eps of the headline.
    """
    if not questions:
        return None
    figure, axes = panel(7.2, 3.4)
    for what, colour in COLOURS.items():
        eps, rates = _curve(questions, what)
        if eps.size:
            draw = _with_band if eps.size > MANY else _with_bars
            draw(axes, eps, rates, {"color": colour, "label": what})
    _shade_gap(axes, questions)
    _mark_zero(axes, *_curve(questions, "attacked"))
    axes.set_xlim(left=0.0)
    if main is not None and len(questions) > 1:
        axes.axvline(main, color=RULE, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    unit = UNITS.get(questions[0]["threat"], "pixels in [0, 1]")
    axes.set(xlabel=f"eps ({unit})", ylabel="accuracy")
    as_share(axes)
    legend(axes)
    return figure


SPREAD = 10.0  # how many times longer than the quickest image one takes, for times to be drawn


@styled
def settled_by_time(pace: Sequence[Row]) -> Figure | None:
    """How many images were certified and falsified within so many seconds each."""
    if not pace or pace[-1]["seconds"] < SPREAD * pace[0]["seconds"]:
        return None
    pace = [*pace, {**pace[-1], "seconds": pace[-1]["seconds"] ** 2 / pace[-2]["seconds"]}]
    seconds = [row["seconds"] for row in pace]  # and one more, up to which the last step goes
    figure, axes = panel(7.2, 2.8)
    certified = np.array([row["certified"] for row in pace])
    settled = certified + [row["falsified"] for row in pace]
    asked = settled[-1] + pace[-1]["open"]
    style: dict[str, Any] = {"step": "post", "linewidth": 0, "alpha": 0.85}
    axes.fill_between(seconds, 0, certified, color=COLOURS["certified"], label="certified", **style)
    style |= {"color": COLOURS["attacked"], "label": "falsified"}
    axes.fill_between(seconds, certified, settled, **style)
    axes.axhline(asked, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xscale="log", xlabel="seconds an image", ylabel="images", ylim=(0, 1.05 * asked))
    axes.set_xlim(seconds[0], seconds[-1])
    legend(axes)
    return figure


def _curve(questions: Sequence[Row], what: str) -> tuple[np.ndarray, np.ndarray]:
    """eps [k] and (rate, low, high) [k, 3] where `what` was measured."""
    known = [q for q in questions if q[what]]
    rates = [[q[what][key] for key in ("rate", "low", "high")] for q in known]
    return np.array([q["epsilon"] for q in known]), np.array(rates).reshape(-1, 3)


def _with_bars(axes: Axes, eps: np.ndarray, rates: np.ndarray, style: dict[str, Any]) -> None:
    error = np.abs(rates[:, 1:].T - rates[:, 0])
    bars: dict[str, Any] = {"marker": "o", "markersize": 4.5, "elinewidth": 1, "capsize": 2.5}
    axes.errorbar(eps, rates[:, 0], yerr=error, **style, **bars)


def _with_band(axes: Axes, eps: np.ndarray, rates: np.ndarray, style: dict[str, Any]) -> None:
    axes.plot(eps, rates[:, 0], marker="o", markersize=2.5, **style)
    axes.fill_between(eps, rates[:, 1], rates[:, 2], color=style["color"], alpha=0.15, linewidth=0)


def _shade_gap(axes: Axes, questions: Sequence[Row]) -> None:
    both = [q for q in questions if q["attacked"] and q["certified"]]
    (eps, low), (_, high) = _curve(both, "certified"), _curve(both, "attacked")
    if eps.size > 1:
        style: dict[str, Any] = {"color": COLOURS["attacked"], "alpha": 0.12, "linewidth": 0}
        axes.fill_between(eps, low[:, 0], high[:, 0], label=GAP, **style)


def _mark_zero(axes: Axes, eps: np.ndarray, rates: np.ndarray) -> None:
    """Says from which radius on no example withstands the attacks."""
    standing = np.flatnonzero(rates[:, 0] > 0)
    first = standing[-1] + 1 if standing.size else 0
    if first < eps.size:
        text = f"0 % attacked from {eps[first]:g}"
        style: dict[str, Any] = {"color": MUTED, "fontsize": 8, "ha": "left", "va": "bottom"}
        axes.annotate(text, (eps[first], 0.0), (2, 6), textcoords="offset points", **style)
        axes.plot(eps[first], 0.0, "|", color=MUTED, markersize=14, zorder=0)
