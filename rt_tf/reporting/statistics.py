"""Rates of a question's merged rows, with intervals, by accuracy and class; their sample."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence

from scipy.stats import binomtest

from rt_tf.records.record_file import Row
from rt_tf.reporting.predicates import is_asked, is_attacked, is_certified, is_clean, withstands


def rate(successes: int, n: int, confidence: float = 0.95) -> Row | None:
    """{"n", "count", "rate", "low", "high"} with the exact (Clopper-Pearson) interval; None if n=0.

    Clopper and Pearson, Biometrika 26 (1934); covers at least `confidence` for every true rate.
    """
    if n == 0:
        return None
    interval = binomtest(successes, n).proportion_ci(confidence, method="exact")
    low, high = float(interval.low), float(interval.high)
    return {"n": n, "count": successes, "rate": successes / n, "low": low, "high": high}


def share(rows: Iterable[Row], predicate: Callable[[Row], bool]) -> Row | None:
    """The rate of rows of which `predicate` is true."""
    values = [predicate(row) for row in rows]
    return rate(sum(values), len(values))


# Whether an accuracy was measured on an example, by its name.
MEASURED: dict[str, Callable[[Row], bool]] = {
    "clean": lambda row: True,
    "attacked": is_attacked,
    "certified": is_asked,
}


def accuracies(rows: Sequence[Row]) -> Row:
    """The clean, attacked and certified accuracy, each on the examples that it was measured on."""
    truths = {"clean": is_clean, "attacked": withstands, "certified": is_certified}
    return {
        name: share(filter(is_measured, rows), truths[name])
        for name, is_measured in MEASURED.items()
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


def classes(rows: Sequence[Row]) -> list[Row]:
    """The accuracies of each class, by label."""
    labels = sorted({row["label"] for row in rows})
    return [
        {"label": label, **accuracies([row for row in rows if row["label"] == label])}
        for label in labels
    ]


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
