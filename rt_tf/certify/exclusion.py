"""Proofs that no input of a box has outputs in a clause, in sound arithmetic."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple, TypeAlias

import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.interchange.property import Clause, stacked
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

METHODS = ("crown_ibp", "crown", "alpha_crown")


class Finding(NamedTuple):
    """What a complete search says of one clause.

    point: an input to be judged, if it met one. why: what stopped it, if the clause is left open.
    """

    excluded: bool
    point: np.ndarray | None = None
    why: str = ""


# (graph, region, rows [1, rows, outputs], offsets, seconds) -> whether for every input of the
# region some row of outputs is above its offset.
Search: TypeAlias = Callable[[Graph, Region, Tensor, Sequence[Fraction], float], Finding]


def left_open(method: str, graph: Graph, region: Region, clauses: Sequence[Clause]) -> list[Clause]:
    """The clauses that a bound does not exclude.

    region: a box with a batch of one. A clause is excluded by one of its rows alone: its lower
    bound is above its offset, as exact numbers.
    """
    spec = tf.constant(stacked(clauses))[tf.newaxis]
    bound = catalogue.bound(method, {})
    margins = bound(graph, region, spec, arithmetic="sound").margins.numpy()[0]
    ends = np.cumsum([len(clause.offsets) for clause in clauses])[:-1]
    parts = zip(np.split(margins, ends), clauses, strict=True)
    return [clause for part, clause in parts if not _excluded(part, clause)]


def _excluded(margins: np.ndarray, clause: Clause) -> bool:
    return any(
        np.isfinite(margin) and Fraction(float(margin)) > offset
        for margin, offset in zip(margins, clause.offsets, strict=True)
    )


def searched(
    search: Search, graph: Graph, region: Region, clause: Clause, seconds: float
) -> Finding:
    """What a complete search says of a clause."""
    spec = tf.constant(clause.rows)[tf.newaxis]
    return search(graph, region, spec, clause.offsets, seconds)
