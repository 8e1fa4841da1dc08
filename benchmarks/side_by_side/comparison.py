"""Turns of two sides, the ratios of their times, and the table of them."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from benchmarks.side_by_side.lines import Line
from rt_tf.errors import UserError

EQUAL = 1e-3  # of the largest value
ROUNDING = 3e-2  # of the largest value: the cost of sound arithmetic, at most
TINY = 1e-30
Turn = Callable[[], Sequence[float]]


class Times(NamedTuple):
    """The seconds of runs, by round: [rounds][runs of a round] of each side."""

    ours: list[Sequence[float]]
    theirs: list[Sequence[float]]

    @property
    def milliseconds(self) -> tuple[float, float]:
        """The medians of all runs: ours, and the peer's."""
        ours, theirs = (
            1000.0 * statistics.median(time for turn in side for time in turn) for side in self
        )
        return ours, theirs

    @property
    def ratio(self) -> float:
        """The median over rounds of the peer's median time over ours: above 1 we are faster."""
        pairs = zip(self.ours, self.theirs, strict=True)
        return statistics.median(
            statistics.median(theirs) / statistics.median(ours) for ours, theirs in pairs
        )


def take_turns(ours: Turn, theirs: Turn, rounds: int) -> Times:
    """The times of both sides, one at a time; every other round begins with the peer."""
    times = Times([], [])
    for number in range(rounds):
        sides = [(ours, times.ours), (theirs, times.theirs)]
        for turn, kept in sides[:: -1 if number % 2 else 1]:
            kept.append(turn())
    return times


def refuse_difference(line: Line, ours: Any, theirs: Any) -> None:
    """Raises UserError unless both sides computed the same values, of any shape.

    Margins in sound arithmetic may lie below the peer's by the cost of rounding outwards.
    """
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        raise UserError(f"{_name(line)}: expected values {theirs.shape}; received {ours.shape}")
    scale = max(float(np.abs(theirs).max()), TINY)
    above, below = float((ours - theirs).max()) / scale, float((theirs - ours).max()) / scale
    most = ROUNDING if line.arithmetic == "sound" else EQUAL
    if not (above <= EQUAL and below <= most):
        raise UserError(
            f"{_name(line)}: expected the peer's values to {most:g} of the largest; "
            f"received ones that differ by {max(above, below):.2g}"
        )


def _name(line: Line) -> str:
    return f"{line.network}, {line.task}, {line.what}"


def table(rows: Iterable[tuple[Line, Times]]) -> Table:
    """The table of lines and times."""
    shown = Table("network", "task", "what", "batch", "ours ms", "auto_LiRPA ms", "faster")
    for line, times in rows:
        numbers = (f"{milliseconds:.4g}" for milliseconds in times.milliseconds)
        names = line.network, line.task, line.what, str(line.batch)
        shown.add_row(*names, *numbers, f"{times.ratio:.2f}")
    return shown


def record(line: Line, times: Times) -> dict[str, Any]:
    """A row of the file of figures."""
    ours, theirs = times.milliseconds
    figures = {"ours_ms": ours, "peer_ms": theirs, "ratio": times.ratio}
    return {**line._asdict(), **{name: round(figure, 4) for name, figure in figures.items()}}
