"""The tightness of the bounds, against linear programs, exact minima and an attack.

    python -m benchmarks.tightness [--samples=20] [--figure=FILE] [--json=FILE]
    python -m benchmarks.tightness --model_dir=RUN --natural=RUN --samples=10 --time_limit=30

On a provably trained, a random and a naturally trained network, as in Wong 2020 (thesis), section
3.3.1 and figure 3.8: for each of the first test images the margin against one other class, drawn at
random, at its least on the Linf ball. Without a run, both are trained here on the embedded digits.

`lp` is the linear program over the triangles of a bound's boxes, which no choice of slopes beats;
`exact` the search with a binary for every unstable unit, as far as --time_limit (seconds an image)
goes; `attack` is APGD. Images whose search does not end in time are left out of the means of `to
exact`. The study ends with an error where a lower bound exceeds an upper one.
"""

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from benchmarks.margins import BOXES, TIGHTEST, Margin, disorder, measured
from benchmarks.three_networks import Networks, chosen
from benchmarks.timing import surroundings
from pipelines.console import one_line_errors
from rt_tf.files import write_bytes, write_text
from rt_tf.reporting.figures.style import COLOURS, INK, encode, styled

PROGRAM = "lp over {}"
DRAWN = {"dual": "#7c3aed", "crown": "#1d4ed8", "alpha_crown": COLOURS["certified"]}
Margins = Mapping[str, Sequence[Margin]]


def study(networks: Networks, samples: int, eps: float | None, seconds: float) -> Margins:
    """The margins by network. RuntimeError where bounds of a margin contradict each other."""
    question = networks.question(samples, eps)
    by_network = {}
    for name, network in networks.by_name.items():
        by_network[name] = [*measured(network, question, seconds)]
    for name, margins in by_network.items():
        refuse_disorder(name, margins)
    return by_network


def refuse_disorder(name: str, margins: Sequence[Margin]) -> None:
    """Raises RuntimeError where bounds of a margin contradict each other."""
    for i, one in enumerate(margins):
        if wrong := disorder(one):
            raise RuntimeError(f"{name} network, image {i}: {'; '.join(wrong)}")


def lower_series(margins: Sequence[Margin]) -> dict[str, np.ndarray]:
    """The lower bounds of all images by name: bounds, linear programs, search with binaries."""
    series = {name: [one.bounds[name] for one in margins] for name in BOXES}
    for name in dict.fromkeys(BOXES.values()):
        series[PROGRAM.format(name)] = [one.programs[name] for one in margins]
    series["binaries"] = [one.below for one in margins]
    return {name: np.array(values) for name, values in series.items()}


def figures(margins: Sequence[Margin]) -> list[dict[str, Any]]:
    """The rows of a network: means over the images.

    to_own, to_lp: the distances to the linear program over the bound's own boxes, and over the
    tightest. of_the_drop: the distance from the clean margin to the bound, over that to the attack.
    """
    series = lower_series(margins)
    clean, attack, above = (
        np.array([getattr(one, name) for one in margins]) for name in ("clean", "attack", "above")
    )
    solved = np.array([one.solved for one in margins])
    rows, drop = [], (clean - attack).sum()
    for name, values in series.items():
        program = series[PROGRAM.format(BOXES[name])] if name in BOXES else None
        rows.append(
            {
                **{"bound": name, "mean": _mean(values)},
                "to_own": None if program is None else _mean(program - values),
                "to_lp": _mean(series[PROGRAM.format(TIGHTEST)] - values),
                "to_exact": _mean((above - values)[solved]),
                "to_attack": _mean(attack - values),
                "of_the_drop": float((clean - values).sum() / drop) if drop else None,
            }
        )
    return rows


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def tables(by_network: Margins) -> list[Table]:
    """A table for each network."""
    shown = []
    for name, margins in by_network.items():
        solved, units = sum(one.solved for one in margins), [one.unstable for one in margins]
        title = f"{name}: {np.mean(units):.0f} unstable units, {solved} of {len(units)} solved"
        table = Table("below", "mean", "to own lp", "to lp", "to exact", "to attack", title=title)
        table.add_column("of the drop")
        for row in figures(margins):
            table.add_row(row["bound"], *(_cell(row[key]) for key in list(row)[1:]))
        shown.append(table)
    return shown


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"


@styled
def draw(by_network: Margins) -> Figure:
    """A figure of a panel for each network: bounds and attacks by image.

    Images are in the order of the linear program's minimum; bounds are below it, attacks above.
    """
    figure = Figure(figsize=(3.4 * len(by_network), 3.3), layout="constrained")
    for axes, (name, margins) in zip(
        figure.subplots(1, len(by_network), squeeze=False)[0], by_network.items(), strict=True
    ):
        ordered = sorted(margins, key=lambda one: one.programs[TIGHTEST])
        places = np.arange(1, len(ordered) + 1)
        attacks = [one.attack for one in ordered]
        axes.plot(places, attacks, color=COLOURS["attacked"], label="attack")
        ends = [[one.below for one in ordered], [one.above for one in ordered]]
        axes.vlines(places, *ends, color=INK, linewidth=3, label="exact, between")
        programs = [one.programs[TIGHTEST] for one in ordered]
        axes.plot(places, programs, color=INK, linewidth=1.2, label="linear program")
        for bound, colour in DRAWN.items():
            axes.plot(places, [one.bounds[bound] for one in ordered], color=colour, label=bound)
        axes.set(title=name, xlabel="images, by the linear program")
    figure.axes[0].set_ylabel("least margin (logits)")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def figures_of(by_network: Margins, arguments: argparse.Namespace, eps: float) -> dict[str, Any]:
    """The figures to write: every image's margins, and the rows of the tables."""
    return {
        **{"eps": eps, "samples": arguments.samples, "time_limit": arguments.time_limit},
        "networks": {
            name: {"rows": figures(margins), "margins": [one._asdict() for one in margins]}
            for name, margins in by_network.items()
        },
        **surroundings(),
    }


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model_dir", help="a provably trained run; else digits are trained here")
    parser.add_argument("--natural", help="a run trained otherwise, on the same data")
    parser.add_argument("--data_dir", help="where TFDS keeps its data sets")
    parser.add_argument("--samples", type=int, default=20, help="test images, from the first")
    parser.add_argument("--epsilon", type=float, help="the radius; else the first run's own")
    parser.add_argument("--time_limit", type=float, default=0.5, help="seconds of binaries")
    parser.add_argument("--figure", type=Path, help="PNG file to draw the margins to")
    parser.add_argument("--json", type=Path, help="file to write the margins to")
    arguments = parser.parse_args()
    with one_line_errors():
        networks = chosen(arguments.model_dir, arguments.natural, arguments.data_dir)
        by_network = study(networks, arguments.samples, arguments.epsilon, arguments.time_limit)
    console = Console(highlight=False, width=120)
    for table in tables(by_network):
        console.print(table)
    eps = networks.eps if arguments.epsilon is None else arguments.epsilon
    if arguments.figure:
        write_bytes(arguments.figure, encode(draw(by_network), "png", dpi=100))
    if arguments.json:
        write_text(
            arguments.json, json.dumps(figures_of(by_network, arguments, eps), indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
