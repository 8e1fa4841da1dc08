"""Distributions over a question's merged rows: margins, seconds, distances, images by time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from rt_tf.records.record_file import Row
from rt_tf.reporting.predicates import is_asked, is_clean, is_proved


def margins(rows: Sequence[Row], bins: int = 40) -> Row | None:
    """A histogram of the margins' lower bounds; zero is a bin edge, so no bin mixes verdicts.

    {"edges" [k+1], "counts" [k], "missing" (no bound), "below", "above" (outliers)}.
    """
    values = np.array([row["margin"] for row in rows if row["margin"] is not None], np.float64)
    if values.size == 0:
        return None
    low, high = np.percentile(values, [1, 99])
    width = _round_width(max(high, 0.0) - min(low, 0.0), bins)
    first, last = math.floor(min(low, 0.0) / width), math.floor(max(high, 0.0) / width) + 1
    # Bins are (edge, edge]: a margin of exactly 0 is not certified and stays left of it.
    places = np.ceil(values / width).astype(np.int64) - 1 - first
    size = last - first
    inside = places[(places >= 0) & (places < size)]
    return {
        "edges": [round(k * width, 12) for k in range(first, last + 1)],
        "counts": np.bincount(inside, minlength=size).tolist(),
        "missing": sum(map(is_asked, rows)) - int(values.size),
        "below": int((places < 0).sum()),
        "above": int((places >= size).sum()),
    }


def _round_width(span: float, bins: int) -> float:
    """The smallest 1, 2 or 5 times a power of ten that covers `span` in about `bins` bins."""
    raw = max(span, 1e-9) / bins
    power = 10.0 ** math.floor(math.log10(raw))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= raw * (1 - 1e-9)))


def seconds(values: Iterable[float | None]) -> Row | None:
    """The total, mean, median and largest of the seconds that images took."""
    numbers = np.array([value for value in values if value is not None], np.float64)
    if numbers.size == 0:
        return None
    names: dict[str, Any] = {"total": np.sum, "mean": np.mean, "median": np.median, "max": np.max}
    return {name: float(function(numbers)) for name, function in names.items()}


PACES = 8  # points of time in every decade


def pace(rows: Sequence[Row]) -> list[Row]:
    """The numbers of images certified, falsified and left open within growing times.

    [{"seconds", "certified", "falsified", "open"}], at powers of 10 in eighths, of the images with
    a certificate's attempt that the network gets right.
    """
    tried = [row for row in rows if is_asked(row) and is_clean(row)]
    took = np.array([row["seconds"] for row in tried])
    if not took.any():
        return []
    powers = np.floor(PACES * np.log10(took[took > 0].min())), np.ceil(PACES * np.log10(took.max()))
    times = 10.0 ** (np.arange(powers[0], powers[1] + 1) / PACES)
    ended = {
        "certified": np.array([is_proved(row) for row in tried]),
        "falsified": np.array([row["certificate"]["verdict"] == "falsified" for row in tried]),
    }
    table = []
    for time in times:
        counts = {name: int((which & (took <= time)).sum()) for name, which in ended.items()}
        left = len(tried) - sum(counts.values())
        table.append({"seconds": float(f"{time:.3g}"), **counts, "open": left})
    return table


def distances(values: Iterable[float | None]) -> Row | None:
    """The number of distances, and the least, median, mean and largest of them."""
    numbers = np.array([value for value in values if value is not None], np.float64)
    if numbers.size == 0:
        return None
    names: dict[str, Any] = {"min": np.min, "median": np.median, "mean": np.mean, "max": np.max}
    return {"n": int(numbers.size)} | {k: float(function(numbers)) for k, function in names.items()}
