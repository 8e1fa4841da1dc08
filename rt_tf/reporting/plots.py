"""Figures of the report, in one restrained style; no pyplot, no display, no global state.

Each function returns a `Figure` (or None if there is nothing to draw); `encode` makes it bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator, PercentFormatter

from rt_tf.reporting.record_file import Row

INK, MUTED, RULE = "#1f2933", "#65737e", "#d9dee3"
COLOURS = {"clean": "#8a97a3", "attacked": "#d97706", "certified": "#0f766e"}
SIGNED = LinearSegmentedColormap.from_list(
    "signed", [COLOURS["certified"], "#ffffff", COLOURS["attacked"]]
)
LOSSES = {"loss": INK, "point_loss": COLOURS["attacked"], "bound_loss": COLOURS["certified"]}
SHARES = {
    "clean": COLOURS["clean"],
    "attacked": COLOURS["attacked"],
    "verified": COLOURS["certified"],
}
GAP = "not known"
TIMES = "\N{MULTIPLICATION SIGN}"
SCHEDULES = {"eps": "eps", "kappa": "kappa", "learning_rate": "learning rate"}

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


@styled
def accuracy_by_eps(questions: Sequence[Row], main: float | None = None) -> Figure | None:
    """Clean, attacked and certified accuracy of one threat against eps; the gap is shaded."""
    if not questions:
        return None
    figure, axes = _panel(7.2, 3.4)
    points = {what: _curve(questions, what) for what in COLOURS}
    for what, (eps, rates) in points.items():
        if eps.size:
            error = np.abs(rates[:, 1:].T - rates[:, 0])
            style: dict[str, Any] = {"color": COLOURS[what], "label": what}
            style |= {"marker": "o", "markersize": 4.5, "elinewidth": 1, "capsize": 2.5}
            axes.errorbar(eps, rates[:, 0], yerr=error, **style)
    _shade_gap(axes, questions)
    axes.set_xlim(left=0.0)
    if main is not None and len(questions) > 1:
        axes.axvline(main, color=RULE, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
    axes.set(xlabel="eps (pixels in [0, 1])", ylabel="accuracy")
    _as_share(axes)
    _legend(axes)
    return figure


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
        _as_share(axes)
    for axes, (key, title) in zip(grid[1], SCHEDULES.items(), strict=True):
        _lines(axes, history, {key: (title, MUTED)})
        axes.set_title(title)
        axes.set_xlabel("step")
        axes.margins(y=0.15)
        axes.yaxis.set_major_formatter("{x:g}")
    _mark_phases(grid.ravel(), history)
    for axes in grid[0]:
        _legend(axes)
    grid[0, 0].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    return figure


@styled
def margin_histogram(histogram: Row | None) -> Figure | None:
    """How many examples have which lower bound of the margin; right of 0 is certified."""
    if histogram is None:
        return None
    figure, axes = _panel(7.2, 2.8)
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
    axes.set(xlabel="proved lower bound of the margin (logits)", ylabel="images")
    axes.set_xlim(edges[0], edges[-1])
    axes.grid(visible=False, axis="x")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    _legend(axes)
    return figure


@styled
def class_bars(classes: Sequence[Row]) -> Figure | None:
    """Clean, attacked and certified accuracy of each class, side by side."""
    if not classes or len(classes) > 40:
        return None
    figure, axes = _panel(7.2, 2.8)
    places = np.arange(len(classes))
    for shift, (what, colour) in zip((-1, 0, 1), COLOURS.items(), strict=True):
        rates = [(row[what] or {"rate": np.nan})["rate"] for row in classes]
        axes.bar(places + 0.27 * shift, rates, 0.25, color=colour, label=what)
    axes.set_xticks(places, [str(row["label"]) for row in classes])
    axes.set(xlabel="class", ylabel="accuracy")
    axes.grid(visible=False, axis="x")
    _as_share(axes)
    _legend(axes)
    return figure


@styled
def adversarial_examples(
    originals: np.ndarray, adversarial: np.ndarray, examples: Sequence[Row]
) -> Figure | None:
    """Original, adversarial image and their difference at full contrast, one column each.

    Images are float [k, h, w, c] in [0, 1], c = 1 or 3; `examples` tell label and prediction.
    """
    if not len(examples):
        return None
    difference = np.asarray(adversarial, np.float64) - originals
    scale = max(float(np.abs(difference).max()), 1e-12)
    amplified = 0.5 + difference / (2 * scale)
    columns = len(examples)
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.02)
    figure = Figure(figsize=(1.15 * columns + 1.1, 4.1), layout=layout)
    grid = figure.subplots(3, columns, squeeze=False)
    names = ("original", "adversarial", f"difference\n{TIMES}{1 / (2 * scale):.3g}")
    pictures = (originals, adversarial, amplified)
    maps: tuple[str | Colormap, ...] = ("gray", "gray", SIGNED)
    for axes, images, name, colours in zip(grid, pictures, names, maps, strict=True):
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8, color=INK)
        for cell, image in zip(axes, images, strict=True):
            _image(cell, image, colours)
    for column, example in zip(grid.T, examples, strict=True):
        _caption(column[0], f"is {example['label']}", COLOURS["certified"])
        told = "?" if example["prediction"] is None else example["prediction"]
        _caption(column[1], f"called {told}", COLOURS["attacked"])
    return figure


def _panel(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _legend(axes: Axes) -> None:
    """Inside a titled panel; else in one row above its right end, out of the data's way."""
    named = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    ordered = sorted(named, key=lambda label: label == GAP)
    place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0)}
    place |= {"ncols": max(1, len(named)), "columnspacing": 1.4}
    if axes.get_title("left"):
        place = {"loc": "best"}
    if named:
        axes.legend([named[label] for label in ordered], ordered, handlelength=1.4, **place)


def _as_share(axes: Axes) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    axes.set_ylim(-0.02, 1.02)


def _curve(questions: Sequence[Row], what: str) -> tuple[np.ndarray, np.ndarray]:
    """eps [k] and (rate, low, high) [k, 3] where `what` was measured."""
    known = [q for q in questions if q[what]]
    rates = [[q[what][key] for key in ("rate", "low", "high")] for q in known]
    return np.array([q["epsilon"] for q in known]), np.array(rates).reshape(-1, 3)


def _shade_gap(axes: Axes, questions: Sequence[Row]) -> None:
    both = [q for q in questions if q["attacked"] and q["certified"]]
    (eps, low), (_, high) = _curve(both, "certified"), _curve(both, "attacked")
    if eps.size > 1:
        style: dict[str, Any] = {"color": COLOURS["attacked"], "alpha": 0.12, "linewidth": 0}
        axes.fill_between(eps, low[:, 0], high[:, 0], label=GAP, **style)


def _named(colours: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    return {name: (name, colour) for name, colour in colours.items()}


def _lines(axes: Axes, history: Sequence[Row], keys: Mapping[str, tuple[str, str]]) -> None:
    for key, (label, colour) in keys.items():
        known = [(row["step"], row[key]) for row in history if row.get(key) is not None]
        if known:
            marker = "o" if len(known) == 1 else None
            axes.plot(*zip(*known, strict=True), color=colour, label=label, marker=marker)


def _mark_phases(panels: Sequence[Axes], history: Sequence[Row]) -> None:
    pairs = pairwise(history)
    starts = [a["step"] for a, b in pairs if a.get("phase") != b.get("phase")]
    for axes in panels:
        for start in starts:
            axes.axvline(start, color=RULE, linewidth=1, linestyle=(0, (4, 3)), zorder=0)


def _image(axes: Axes, image: np.ndarray, colours: str | Colormap) -> None:
    """One picture; `colours` is the colour map of an image of one channel."""
    shown = image[..., 0] if image.shape[-1] == 1 else image
    clipped = np.clip(shown, 0.0, 1.0)
    axes.imshow(clipped, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _caption(axes: Axes, text: str, colour: str) -> None:
    axes.set_title(text, loc="center", color=colour, fontsize=9.5, pad=4)
