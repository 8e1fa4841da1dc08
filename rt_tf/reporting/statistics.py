"""Counts of a question's merged rows: rates with intervals, outcomes, rungs, classes, margins."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from scipy.stats import binomtest

from rt_tf.records.record_file import Row

CAUSES = ("loose", "time", "memory", "error")


def rate(successes: int, n: int, confidence: float = 0.95) -> Row | None:
    """{"n", "count", "rate", "low", "high"} with the exact (Clopper-Pearson) interval; None if n=0.

    Clopper and Pearson, Biometrika 26 (1934); covers at least `confidence` for every true rate.
    """
    if n == 0:
        return None
    interval = binomtest(successes, n).proportion_ci(confidence, method="exact")
    low, high = float(interval.low), float(interval.high)
    return {"n": n, "count": successes, "rate": successes / n, "low": low, "high": high}


def is_clean(row: Row) -> bool:
    """Whether an example is classified as its label without any perturbation."""
    return bool(row["correct"])


def is_attacked(row: Row) -> bool:
    """Whether an attack, or a ladder that searches for counterexamples, was tried on an example."""
    return bool(row["attacks"] or (row.get("searched") and is_asked(row)))


def withstands(row: Row) -> bool:
    """Whether an example is classified as its label at every point tried."""
    attacked = any(attack["success"] for attack in row["attacks"].values())
    return is_clean(row) and not attacked and not row.get("counterexample")


def is_asked(row: Row) -> bool:
    """Whether a certificate was tried on an example."""
    return row["certificate"] is not None


def is_certified(row: Row) -> bool:
    """Whether an example is proved to keep its label in the region, by this one or a larger one."""
    return is_asked(row) and (_is_proved(row) or is_inferred(row))


def is_inferred(row: Row) -> bool:
    """Whether an example is certified only by a certificate in a larger region; see `inference`."""
    return row.get("inferred") is not None


def _is_proved(row: Row) -> bool:
    return bool(row["certificate"]["verdict"] == "certified")


def share(rows: Iterable[Row], predicate: Callable[[Row], bool]) -> Row | None:
    """The rate of rows of which `predicate` is true."""
    values = [predicate(row) for row in rows]
    return rate(sum(values), len(values))


def accuracies(rows: Sequence[Row]) -> Row:
    """The clean, attacked and certified accuracy, each on the examples that it was measured on."""
    return {
        "clean": share(rows, is_clean),
        "attacked": share(filter(is_attacked, rows), withstands),
        "certified": share(filter(is_asked, rows), is_certified),
    }


def weaker(rows: Sequence[Row]) -> Row:
    """{"probable", "trusted"}: the rates of examples certified, or at least so in a weaker sense.

    None where no rung gives such verdicts.
    """
    tried = list(filter(is_asked, rows))
    return {name: _weaker(tried, name) for name in ("probable", "trusted")}


def _weaker(rows: Sequence[Row], name: str) -> Row | None:
    by_row = [{rung["verdict"] for rung in row["rungs"].values()} for row in rows]
    if not any(name in verdicts for verdicts in by_row):
        return None
    pairs = zip(rows, by_row, strict=True)
    return rate(sum(is_certified(row) or name in verdicts for row, verdicts in pairs), len(rows))


def common(rows: Sequence[Row]) -> Row | None:
    """The accuracies on the examples both attacked and certified; None if those are all."""
    both = [row for row in rows if is_attacked(row) and is_asked(row)]
    return accuracies(both) if 0 < len(both) < len(rows) else None


def outcomes(rows: Sequence[Row]) -> Row:
    """The number of examples by outcome; the counts add up to the number of rows."""
    count = Counter(row["cause"] if row["verdict"] != "certified" else "certified" for row in rows)
    names = ("certified", *CAUSES, "not_asked", "attack", "misclassified")
    return {name: count.pop(name, 0) for name in names} | dict(count)


def rungs(rows: Sequence[Row]) -> list[Row]:
    """The counts of each rung: tried, certified, credited, unknown by cause; and its seconds.

    Bounds that hold with a probability only are counted as probable, those that rest on a solver's
    word as trusted; neither certifies anything.

    Several rungs may certify one example; the one named in its verdict gets the credit.
    """
    names = dict.fromkeys(name for row in rows for name in row["rungs"])
    return [_rung(name, [row for row in rows if name in row["rungs"]]) for name in names]


def _rung(name: str, rows: Sequence[Row]) -> Row:
    count = Counter(_rung_outcome(row["rungs"][name], row) for row in rows)
    seconds = sum(row["rungs"][name].get("seconds") or 0.0 for row in rows)
    counts = {key: count[key] for key in ("certified", "falsified", "probable", "trusted", *CAUSES)}
    credited = sum(is_certified(row) and row["rung"] == name for row in rows)
    return {"rung": name, "tried": len(rows), "credited": credited, **counts, "seconds": seconds}


def _rung_outcome(rung: Row, row: Row) -> str:
    """A rung's verdict, or its cause if unknown; without a margin there was no bound at all."""
    if rung["verdict"] != "unknown":
        return str(rung["verdict"])
    if rung.get("cause") in CAUSES:
        return str(rung["cause"])
    if rung["margin"] is not None:
        return "loose"
    return "time" if row["certificate"]["cause"] == "time" else "error"


def classes(rows: Sequence[Row]) -> list[Row]:
    """The accuracies of each class, by label."""
    labels = sorted({row["label"] for row in rows})
    return [
        {"label": label, **accuracies([row for row in rows if row["label"] == label])}
        for label in labels
    ]


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
        "certified": np.array([_is_proved(row) for row in tried]),
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


def sample(rows: Sequence[Row]) -> Row:
    """The sample of rows: their number, indices as ranges, and a checksum of indices and images."""
    lines = "".join(f"{row['index']} {row['image']} {row['label']}\n" for row in rows)
    return {
        "n": len(rows),
        "indices": ranges(row["index"] for row in rows),
        "sha256": hashlib.sha256(lines.encode()).hexdigest(),
    }


def ranges(indices: Iterable[int]) -> str:
    """Sorted indices compactly: `0-359,400`."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(f"{a}-{b}" if b > a else f"{a}" for a, b in runs)
