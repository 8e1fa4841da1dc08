"""A property: boxes of inputs, and the outputs that would break it, in exact numbers."""

import itertools
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

LARGEST = Fraction(float(np.finfo(np.float32).max))
TINY = np.float32(2.0**-126)  # numbers below it may be flushed to zero


class Clause(NamedTuple):
    """Outputs y with `rows @ y <= offsets`, all of them at once.

    rows: float32 [rows, outputs], exact. offsets: a Fraction for each row.
    """

    rows: np.ndarray
    offsets: tuple[Fraction, ...]

    def holds(self, outputs: np.ndarray) -> bool:
        """Whether outputs [outputs] are in the clause, in exact arithmetic."""
        exact = [Fraction(float(y)) for y in outputs]
        return all(
            sum((Fraction(float(a)) * y for a, y in zip(row, exact, strict=True) if a), Fraction())
            <= offset
            for row, offset in zip(self.rows, self.offsets, strict=True)
        )


class Property(NamedTuple):
    """Inputs between ends, none of which may have outputs in any of the clauses."""

    lower: tuple[Fraction, ...]
    upper: tuple[Fraction, ...]
    clauses: tuple[Clause, ...]

    def outer(self) -> tuple[np.ndarray, np.ndarray]:
        """The ends in float32, rounded outward: each [inputs]."""
        lower, upper = outer([self])
        return lower[0], upper[0]

    def inner(self) -> tuple[np.ndarray, np.ndarray]:
        """The ends in float32, rounded inward: each [properties, inputs].

        Where no float32 number is left between them, both are the lower end's nearest,
        which a float32 network reads for any number in between.
        """
        lower, upper = inner([self])
        return lower[0], upper[0]

    def point(self, x: np.ndarray) -> tuple[Fraction, ...]:
        """The numbers within the ends that are nearest to x, [inputs]."""
        return tuple(
            min(max(Fraction(float(value)), low), high)
            for value, low, high in zip(x, self.lower, self.upper, strict=True)
        )


def outer(properties: Sequence[Property]) -> tuple[np.ndarray, np.ndarray]:
    """The ends in float32, rounded outward: each [properties, inputs]."""
    lower = _rounded([each.lower for each in properties], -1)
    upper = _rounded([each.upper for each in properties], 1)
    lower[(lower > 0) & (lower < TINY)] = 0.0
    upper[(upper < 0) & (upper > -TINY)] = 0.0
    lower[(lower < 0) & (lower > -TINY)] = -TINY
    upper[(upper > 0) & (upper < TINY)] = TINY
    return lower, upper


def inner(properties: Sequence[Property]) -> tuple[np.ndarray, np.ndarray]:
    """The ends in float32, rounded inward; where that leaves nothing, the lower end's nearest.

    For such a coordinate that is what a float32 network reads of any number in between. Each
    [properties, inputs].
    """
    lower = _rounded([each.lower for each in properties], 1)
    upper = _rounded([each.upper for each in properties], -1)
    nearest = _rounded([each.lower for each in properties], 0)
    empty = lower > upper
    return np.where(empty, nearest, lower), np.where(empty, nearest, upper)


def _rounded(ends: Sequence[tuple[Fraction, ...]], side: int) -> np.ndarray:
    """Every end, rounded by `rounded`; a number that boxes share is rounded once."""
    by_id: dict[int, np.float32] = {}
    for number in itertools.chain.from_iterable(ends):
        if id(number) not in by_id:
            by_id[id(number)] = rounded(number, side)
    return np.array([[by_id[id(number)] for number in box] for box in ends], np.float32)


def rounded(number: Fraction, side: int) -> np.float32:
    """The nearest float32 number; on one side of it, -1 below or 1 above, if side is not 0."""
    near = np.float32(float(number))
    error = Fraction(float(near)) - number
    if side * error < 0:
        return np.nextafter(near, np.float32(side * np.inf))
    return near


class Rows(NamedTuple):
    """The distinct rows of some clauses, and the numbers of each clause's rows.

    matrix: float32 [rows, outputs]. owners: int [rows of clause], by clause.
    """

    matrix: np.ndarray
    owners: list[np.ndarray]


def distinct(clauses: Sequence[Clause]) -> Rows:
    """The rows of all clauses, none twice, in order."""
    numbers: dict[bytes, int] = {}
    rows: list[np.ndarray] = []
    owners = []
    for clause in clauses:
        indices = []
        for row in clause.rows:
            if row.tobytes() not in numbers:
                numbers[row.tobytes()] = len(rows)
                rows.append(row)
            indices.append(numbers[row.tobytes()])
        owners.append(np.array(indices))
    return Rows(np.stack(rows), owners)
