"""A comparison as a table: Markdown, CSV, LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rt_tf.exactly import radius_text
from rt_tf.reporting.comparison.comparing import Column, Comparison, Spread, spread
from rt_tf.reporting.comparison.runs import System
from rt_tf.reporting.formats import DASH, duration, plain, share_text

PLUS_MINUS = "\N{PLUS-MINUS SIGN}"


class Table(NamedTuple):
    """A table as texts. rows: of the systems, each with a text for each heading."""

    headings: list[str]
    rows: list[list[str]]


def table(comparison: Comparison) -> Table:
    """The comparison as texts: shares in percent, means with their standard deviations."""
    columns = comparison.columns
    headings = ["system", "seeds", *(_heading(c, _same_images(comparison)) for c in columns)]
    rows = [
        [system.name, _seeds(system), *(_cell(c, row) for c in columns), _time(system)]
        for row, system in enumerate(comparison.systems)
    ]
    return Table([*headings, "training"], rows)


def sentences(comparison: Comparison) -> list[str]:
    """Sentences on the images, on what several seeds became, and on what does not compare."""
    same = _same_images(comparison)
    images = f"the same {same:,} images" if same else "the same images in each column"
    first = (
        f"Clean, attacked and certified accuracy in %, {comparison.threat}, on {images} of the "
        f"{comparison.data}."
    )
    several = any(len(system.runs) > 1 for system in comparison.systems)
    deviation = [f"Several seeds: mean {PLUS_MINUS} standard deviation."] if several else []
    return [first, *deviation, *comparison.notes]


def markdown(comparison: Comparison) -> str:
    """The comparison in Markdown: a table below a sentence on its images, and notes."""
    headings, rows = table(comparison)
    first, *notes = map(plain, sentences(comparison))
    lines = [
        *(first, "", f"| {' | '.join(map(plain, headings))} |"),
        "|---|---|" + "---:|" * (len(headings) - 2),
        *(f"| {' | '.join(map(plain, row))} |" for row in rows),
    ]
    return "\n".join([*lines, *(["", *(f"- {note}" for note in notes)] if notes else [])])


def latex(comparison: Comparison) -> str:
    """The comparison in LaTeX, with the rules of the package booktabs; notes are comments."""
    headings, rows = table(comparison)
    lines = [
        *(f"% {' '.join(sentence.split())}" for sentence in sentences(comparison)),
        rf"\begin{{tabular}}{{ll{'r' * (len(headings) - 2)}}}",
        r"\toprule",
        _latex_row(headings),
        r"\midrule",
        *map(_latex_row, rows),
        r"\bottomrule",
        r"\end{tabular}",
    ]
    return "\n".join(lines)


def csv_text(comparison: Comparison) -> str:
    """The comparison as comma-separated values: accuracies in [0, 1], times in seconds.

    Each accuracy has its mean, its standard deviation (empty for a single run) and its images.
    """
    headings = ["system", "seeds"]
    for column in comparison.columns:
        name = _name(column)
        headings += [name, f"{name} deviation", f"{name} images"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*headings, "training", "training deviation"])
    for row, system in enumerate(comparison.systems):
        cells: list[str] = []
        for column in comparison.columns:
            cells += [*_numbers(_spread_of(column, row)), str(column.images)]
        seeds = " ".join(str(run.facts["seed"]) for run in system.runs)
        writer.writerow([system.name, seeds, *cells, *_numbers(_seconds(system))])
    return text.getvalue().rstrip("\n")


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "markdown": markdown,
    "csv": csv_text,
    "latex": latex,
}


def _same_images(comparison: Comparison) -> int | None:
    """The number of images of all columns; None where they differ."""
    counts = {column.images for column in comparison.columns if column.images}
    return counts.pop() if len(counts) == 1 else None


def _name(column: Column) -> str:
    at = "" if column.accuracy == "clean" else f" {radius_text(column.eps)}"
    return f"{column.accuracy}{at}"


def _heading(column: Column, same: int | None) -> str:
    return _name(column) + ("" if same or not column.images else f" (n {column.images:,})")


def _seeds(system: System) -> str:
    seeds = [run.facts["seed"] for run in system.runs]
    return ", ".join(DASH if seed is None else str(seed) for seed in seeds)


def _spread_of(column: Column, row: int) -> Spread | None:
    rates = column.rates[row]
    return spread([rate["rate"] for rate in rates]) if rates else None


def _cell(column: Column, row: int) -> str:
    shares = _spread_of(column, row)
    if shares is None:
        return DASH
    return _plus_minus(*(None if s is None else share_text(s, column.images) for s in shares))


def _seconds(system: System) -> Spread | None:
    seconds = [run.seconds for run in system.runs]
    known = [value for value in seconds if value is not None]
    return spread(known) if known and len(known) == len(seconds) else None


def _time(system: System) -> str:
    seconds = _seconds(system)
    if seconds is None:
        return DASH
    return _plus_minus(*(None if s is None else duration(s) for s in seconds))


def _plus_minus(mean: str | None, deviation: str | None) -> str:
    return f"{mean} {PLUS_MINUS} {deviation}" if deviation else str(mean)


def _numbers(values: Spread | None) -> list[str]:
    """A mean and its deviation in full digits, empty where there is none."""
    return ["" if value is None else repr(value) for value in values or (None, None)]


LATEX = {
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    PLUS_MINUS: r"$\pm$",
    DASH: "--",
}


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(re.sub(r"\W|_", lambda m: LATEX.get(m[0], m[0]), c) for c in cells) + r" \\"
