"""Robustness curves: accuracies of one threat against its radius, and verdicts against time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from rt_tf.domain import UNIT, Domain
from rt_tf.exactly import radius_text
from rt_tf.records.record_file import Row
from rt_tf.reporting.figures.style import (
    APART,
    COLOURS,
    GAP,
    MUTED,
    RULE,
    as_share,
    legend,
    panel,
    styled,
)
from rt_tf.reporting.summary import by_threat
from rt_tf.reporting.text import ACCURACIES

MANY = 8  # radii above which intervals are bands, not bars
UNITS = {"union": "times the stated radii", "wasserstein": "share of the mass x pixels moved"}


@styled
def accuracy_by_eps(
    questions: Sequence[Row], lines: Sequence[Row] = (), main: float | None = None
) -> Figure | None:
    """The clean, attacked and certified accuracy of one threat against eps.

    lines: of the threat (`line` in the report's schema), each of one set of images and one means;
    other accuracies are hollow marks. The gap is shaded between lines of the same images. Intervals
    of 95 % are bars, or bands where there are many radii. main: the eps that a vertical line marks.
    """
    if not questions:
        return None
    figure, axes = panel(6.4, 3.6)
    by_accuracy = {line["accuracy"]: line for line in lines}
    for what in COLOURS:
        if what in by_accuracy:
            _draw_line(axes, by_accuracy[what])
    for what in COLOURS:
        _draw_marks(axes, what, apart(questions, by_accuracy.get(what), what), what in by_accuracy)
    _shade_gap(axes, by_accuracy)
    _mark_zero(axes, *_rates(questions, "attacked"))
    axes.set_xlim(left=0.0)
    if main is not None and len(questions) > 1:
        axes.axvline(main, color=RULE, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    unit = unit_of(questions[0])
    axes.set(xlabel=f"eps ({unit})", ylabel="accuracy")
    as_share(axes)
    legend(axes)
    return figure


def unit_of(row: Row) -> str:
    """The unit of a question's radii, or of certified ones, in words."""
    domain = Domain.from_config(row["domain"]) if "domain" in row else UNIT
    return UNITS.get(row["threat"], f"pixels in {domain}")


def apart(questions: Sequence[Row], line: Row | None, what: str) -> list[Row]:
    """The questions whose accuracy is of other images, or by other means, than the line's."""
    on_line = {point["epsilon"]: point["rate"] for point in line["points"]} if line else {}
    return [q for q in questions if q[what] and q[what] != on_line.get(q["epsilon"])]


SPREAD = 10.0  # times are drawn if the slowest image takes so many times the quickest one's


@styled
def settled_by_time(pace: Sequence[Row]) -> Figure | None:
    """The numbers of images certified and falsified within growing times."""
    if not pace or pace[-1]["seconds"] < SPREAD * pace[0]["seconds"]:
        return None
    pace = [*pace, {**pace[-1], "seconds": pace[-1]["seconds"] ** 2 / pace[-2]["seconds"]}]
    seconds = [row["seconds"] for row in pace]  # the last one, added, is where the last step ends
    figure, axes = panel(6.4, 3.0)
    certified = np.array([row["certified"] for row in pace])
    settled = certified + [row["falsified"] for row in pace]
    count = settled[-1] + pace[-1]["open"]
    style: dict[str, Any] = {"step": "post", "linewidth": 0, "alpha": 0.85}
    axes.fill_between(seconds, 0, certified, color=COLOURS["certified"], label="certified", **style)
    style |= {"color": COLOURS["attacked"], "label": "falsified"}
    axes.fill_between(seconds, certified, settled, **style)
    axes.axhline(count, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.set(xscale="log", xlabel="seconds an example", ylabel="examples", ylim=(0, 1.05 * count))
    axes.set_xlim(seconds[0], seconds[-1])
    legend(axes)
    return figure


def _rates(questions: Sequence[Row], what: str) -> tuple[np.ndarray, np.ndarray]:
    """The eps [k] and (rate, low, high) [k, 3] of the questions where `what` was measured."""
    measured = [q for q in questions if q[what]]
    return _arrays([q["epsilon"] for q in measured], [q[what] for q in measured])


def _points(line: Row) -> tuple[np.ndarray, np.ndarray]:
    """The eps [k] and (rate, low, high) [k, 3] of a line's points."""
    points = line["points"]
    return _arrays([point["epsilon"] for point in points], [point["rate"] for point in points])


def _arrays(eps: Sequence[float], rates: Sequence[Row]) -> tuple[np.ndarray, np.ndarray]:
    table = [[rate[key] for key in ("rate", "low", "high")] for rate in rates]
    return np.array(eps), np.array(table).reshape(-1, 3)


def _draw_line(axes: Axes, line: Row) -> None:
    eps, rates = _points(line)
    draw = _with_band if eps.size > MANY else _with_bars
    what = line["accuracy"]
    draw(axes, eps, rates, {"color": COLOURS[what], "label": what})


def _draw_marks(axes: Axes, what: str, questions: Sequence[Row], has_line: bool) -> None:
    """Draws accuracies that are on no line: hollow marks, if there is a line beside them."""
    if questions:
        eps, rates = _rates(questions, what)
        face, label = ("white", "_apart") if has_line else (COLOURS[what], what)
        style = {"color": COLOURS[what], "label": label, "linestyle": "none"}
        _with_bars(axes, eps, rates, {**style, "markerfacecolor": face})
        if has_line:
            hollow: dict[str, Any] = {"markerfacecolor": "white", "linestyle": "none"}
            axes.plot([], [], "o", color=MUTED, markersize=4.5, label=APART, **hollow)


def _with_bars(axes: Axes, eps: np.ndarray, rates: np.ndarray, style: dict[str, Any]) -> None:
    error = np.abs(rates[:, 1:].T - rates[:, 0])
    bars: dict[str, Any] = {"marker": "o", "markersize": 4.5, "elinewidth": 1, "capsize": 2.5}
    axes.errorbar(eps, rates[:, 0], yerr=error, **style, **bars)


def _with_band(axes: Axes, eps: np.ndarray, rates: np.ndarray, style: dict[str, Any]) -> None:
    axes.plot(eps, rates[:, 0], marker="o", markersize=2.5, **style)
    axes.fill_between(eps, rates[:, 1], rates[:, 2], color=style["color"], alpha=0.15, linewidth=0)


def _shade_gap(axes: Axes, lines: Mapping[str, Row]) -> None:
    """Shades the gap between the lines of attacks and certificates, at radii of both."""
    if not is_gap_known(lines):
        return
    upper = {point["epsilon"]: point["rate"]["rate"] for point in lines["attacked"]["points"]}
    points = [p for p in lines["certified"]["points"] if p["epsilon"] in upper]
    eps = [point["epsilon"] for point in points]
    low, high = [point["rate"]["rate"] for point in points], [upper[e] for e in eps]
    style: dict[str, Any] = {"color": COLOURS["attacked"], "alpha": 0.12, "linewidth": 0}
    axes.fill_between(eps, low, high, label=GAP, **style)


def is_gap_known(lines: Mapping[str, Row]) -> bool:
    """Whether attacks and certificates have lines of the same images, at two radii or more."""
    pair = [lines[what] for what in ("attacked", "certified") if what in lines]
    if len(pair) < 2 or len({line["sample"]["sha256"] for line in pair}) > 1:
        return False
    radii = [{point["epsilon"] for point in line["points"]} for line in pair]
    return len(radii[0] & radii[1]) > 1


def _mark_zero(axes: Axes, eps: np.ndarray, rates: np.ndarray) -> None:
    """Marks the radius from which on no example withstands the attacks."""
    standing = np.flatnonzero(rates[:, 0] > 0)
    first = standing[-1] + 1 if standing.size else 0
    if first < eps.size:
        text = f"0 % attacked from {radius_text(eps[first])}"
        beyond = eps[first] > 0.5 * eps[-1]
        style: dict[str, Any] = {"color": MUTED, "fontsize": 8.5, "va": "bottom"}
        style["bbox"] = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        style |= {"ha": "right" if beyond else "left", "textcoords": "offset points"}
        axes.annotate(text, (eps[first], 0.0), (-8 if beyond else 2, 6), **style)
        axes.plot(eps[first], 0.0, "|", color=MUTED, markersize=14, zorder=0)


def line_notes(report: Row, threat: str) -> list[str]:
    """Sentences on the figure of a threat: each line's images and means, then the hollow marks."""
    questions = by_threat(report)[threat]
    lines = {line["accuracy"]: line for line in report["lines"] if line["threat"] == threat}
    if len(questions) == 1:
        return ["There is one radius."]
    notes = [_line(line) for name, line in lines.items() if name != "clean"]
    if is_gap_known(lines):
        notes.append("The truth lies between the two lines, in the shaded gap.")
    if any(apart(questions, lines.get(name), name) for name in ACCURACIES):
        notes.append(
            "Marks that no line joins (hollow where there is one) are of other examples, or by "
            "other means: they do not compare with one another."
        )
    return notes


def _line(line: Row) -> str:
    sample, by = line["sample"], ", ".join(line["by"])
    images = f"the same {sample['n']:,} examples (indices {sample['indices']})"
    return f"The line of {line['accuracy']} accuracy is of {images} at each radius, by {by}."
