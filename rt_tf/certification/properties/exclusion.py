"""Proofs that no input of a box has outputs in a clause, in sound arithmetic."""

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.bounds.intermediate import MEMORY, TEMPORARIES
from rt_tf.bounds.interval import enclose
from rt_tf.bounds.result import Box
from rt_tf.certification.rung import OUT_OF_MEMORY
from rt_tf.interchange.property import Clause, Rows, distinct
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.box import between
from rt_tf.threats.region import Region

METHODS = ("crown_ibp", "crown", "alpha_crown")
OFTEN = 8  # passes of a bound; from so many on, compiling it takes less time than it saves

Ends: TypeAlias = tuple[np.ndarray, np.ndarray]


class ClauseResult(NamedTuple):
    """The result of a complete search for one clause.

    excluded: no input of the box has outputs in the clause. point: an input [...] that may break
    the property, or None. why: what stopped the search, if it leaves the clause open.
    """

    excluded: bool
    point: np.ndarray | None = None
    why: str = ""


# (graph, region, rows [1, rows, outputs], offsets, seconds) -> whether for every input of the
# region some row of outputs is above its offset.
Search: TypeAlias = Callable[[Graph, Region, Tensor, Sequence[Fraction], float], ClauseResult]


class Screen:
    """Bounds of clauses of one network's outputs, for many boxes of its inputs at once."""

    def __init__(self, graph: Graph, shape: Sequence[int], left: Callable[[], float]) -> None:
        """shape: an input's, without batch. left: the seconds that are left."""
        self.graph = graph
        self.left = left
        zeros = tf.zeros([1, *shape])
        largest = max(map(math.prod, enclose(graph, Box(zeros, zeros)).shapes.values()))
        self.rows = max(1, int(MEMORY * 2**20) // (4 * TEMPORARIES * largest))

    def left_open(self, method: str, ends: Ends, clauses: Sequence[list[Clause]]) -> list:
        """For each box, the clauses that a bound does not exclude, or has no time for.

        ends: lower and upper ends, each [boxes, ...]. clauses: by box. A clause is excluded by one
        of its rows alone: its lower bound is above its offset, as exact numbers.
        """
        by_box = [distinct(bounds) for bounds in clauses]
        most = max(len(rows.matrix) for rows in by_box)
        count, size = max(1, self.rows // most), min(most, self.rows)
        bound = self._bound(method, -(-len(by_box) // count) * -(-most // size))
        still: list[list[Clause]] = []
        for k in range(0, len(by_box), count):
            if self.left() <= 0.0:
                return [*still, *clauses[k:]]
            bounds = [tf.constant(end[k : k + count]) for end in ends]
            filled = [_filled(rows.matrix, most) for rows in by_box[k : k + count]]
            spec = tf.constant(np.stack(filled))
            parts = [bound(*bounds, spec[:, i : i + size]) for i in range(0, most, size)]
            margins = np.concatenate([part.numpy() for part in parts], axis=1)
            still += map(_open, margins, by_box[k : k + count], clauses[k : k + count])
        return still

    def _bound(self, method: str, passes: int) -> Callable[..., Tensor]:
        """A function of boxes and rows to margins [boxes, rows], compiled if it is called often."""
        bound, graph = catalogue.bound(method, {}), self.graph

        def margins(lower: Tensor, upper: Tensor, spec: Tensor) -> Tensor:
            return bound(graph, between(lower, upper), spec, arithmetic="sound").margins

        often = passes >= OFTEN
        return tf.function(margins, autograph=False, reduce_retracing=True) if often else margins


def _filled(rows: np.ndarray, count: int) -> np.ndarray:
    """`count` rows: all of them, then the first one again and again."""
    return rows[np.arange(count) * (np.arange(count) < len(rows))]


def _open(margins: np.ndarray, rows: Rows, clauses: list[Clause]) -> list[Clause]:
    pairs = zip(rows.owners, clauses, strict=True)
    return [clause for places, clause in pairs if not _excluded(margins[places], clause)]


def _excluded(margins: np.ndarray, clause: Clause) -> bool:
    return any(
        np.isfinite(margin) and Fraction(float(margin)) > offset
        for margin, offset in zip(margins, clause.offsets, strict=True)
    )


def search_clause(
    search: Search, graph: Graph, region: Region, clause: Clause, seconds: float
) -> ClauseResult:
    """The result of a complete search for one clause, within these seconds and the memory."""
    spec = tf.constant(clause.rows)[tf.newaxis]
    try:
        return search(graph, region, spec, clause.offsets, seconds)
    except OUT_OF_MEMORY:
        return ClauseResult(False, why="memory")
