"""Tables: the scaling of their columns and the domain of what networks read.

A network reads (value - offset) / unit of each column, in float32. Offset and unit come from the
training rows; the domain, which attacks and certificates stay inside, from all rows, or from a
file.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rt_tf.catalogue.datasets import DOMAINS, SCALINGS
from rt_tf.domain import UNLIMITED, Domain
from rt_tf.errors import UserError, refuse_unknown

QUANTILES = (0.001, 0.999)


@dataclass(frozen=True, eq=False)
class Columns:
    """The columns of a table: their names [columns], and the offset and unit [columns] of each."""

    names: tuple[str, ...]
    offset: np.ndarray
    unit: np.ndarray

    @classmethod
    def fitted(cls, names: tuple[str, ...], train: np.ndarray, scaling: str) -> "Columns":
        """Columns scaled by training rows [n, columns]; a column of one value has the unit 1.

        scaling: a name of `rt_tf.catalogue.datasets.SCALINGS`.
        """
        refuse_unknown("scaling", scaling, SCALINGS)
        if scaling == "range":
            offset = train.min(axis=0)
            unit = train.max(axis=0) - offset
        elif scaling == "zscore":
            offset, unit = train.mean(axis=0), train.std(axis=0)
        else:
            offset, unit = np.zeros(len(names)), np.ones(len(names))
        return cls(names, offset, np.where(unit > 0.0, unit, 1.0))

    def read(self, table: np.ndarray) -> np.ndarray:
        """Values as networks read them: float32 [n, columns]."""
        return ((table - self.offset) / self.unit).astype(np.float32)

    def config(self) -> list[dict[str, Any]]:
        """Each column as JSON: its name, offset and unit."""
        rows = zip(self.names, self.offset.tolist(), self.unit.tolist(), strict=True)
        return [{"name": name, "offset": offset, "unit": unit} for name, offset, unit in rows]


def domain_of(columns: Columns, tables: list[np.ndarray], named: str) -> Domain:
    """The domain of what networks read of tables [n, columns], of which the first is for training.

    named: a name of DOMAINS, or the path of a JSON file with the ends of columns by name, in the
    columns' own units; columns that it does not name have those of `minmax`. UserError for a file
    that is none, or ends that a row is beyond.
    """
    if named == "none":
        return UNLIMITED
    if named == "quantile":
        return Domain(*columns.read(np.quantile(tables[0], QUANTILES, axis=0)))
    ends = np.array([np.min(tables[0], axis=0), np.max(tables[0], axis=0)])
    for table in tables[1:]:
        ends = np.array([np.minimum(ends[0], table.min(0)), np.maximum(ends[1], table.max(0))])
    if named not in DOMAINS:
        ends = _stated_ends(Path(named), columns, ends)
    return Domain(*columns.read(ends))


def _stated_ends(path: Path, columns: Columns, seen: np.ndarray) -> np.ndarray:
    """The ends [2, columns] in a file, and those seen [2, columns] of columns not in it."""
    ends = seen.copy()
    for name, (low, high) in _stated(path).items():
        if name not in columns.names:
            raise UserError(
                f"domain: expected columns of the table ({_listed(columns.names)}); {path} names "
                f"'{name}'"
            )
        place = columns.names.index(name)
        if not low <= seen[0, place] <= seen[1, place] <= high:
            raise UserError(
                f"domain: expected all rows within the ends in {path}; column '{name}' runs from "
                f"{seen[0, place]:g} to {seen[1, place]:g}, its ends are {low:g} and {high:g}"
            )
        ends[:, place] = low, high
    return ends


def _stated(path: Path) -> dict[str, list[float]]:
    expected = f'expected {", ".join(DOMAINS)}, or a JSON file such as {{"age": [0, 120]}}'
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"domain: {expected}; received {path}: {error}") from error
    pairs = content.values() if isinstance(content, dict) else [None]
    if not all(_is_range(pair) for pair in pairs):
        raise UserError(f"domain: {expected}; {path} holds other things than pairs of numbers")
    return content


def _is_range(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(isinstance(end, int | float) and not isinstance(end, bool) for end in pair)
        and pair[0] <= pair[1]
    )


def _listed(names: tuple[str, ...]) -> str:
    shown = ", ".join(names[:20])
    return shown if len(names) <= 20 else f"{shown}, ... ({len(names)} in all)"
