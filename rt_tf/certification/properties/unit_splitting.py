"""Branch and bound on the signs of units, for clauses of outputs."""

import time
from collections.abc import Sequence
from fractions import Fraction

import tensorflow as tf

from rt_tf.bounds.intermediate import MEMORY
from rt_tf.certification.branching.bounder import Bounder
from rt_tf.certification.branching.tree_search import TreeSearch
from rt_tf.certification.properties.clause_graph import CLASSES, LABEL, clause_graph, raised
from rt_tf.certification.properties.exclusion import ClauseResult
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.box import between
from rt_tf.threats.region import Region


class UnitSplitting:
    """A complete search for networks of ReLU and LeakyReLU; it leaves clauses of others open.

    memory: MiB for intermediate bounds. Compiled once for a network and a number of rows: all
    clauses share the variables that hold the rows and offsets of one.
    """

    def __init__(self, memory: float = MEMORY) -> None:
        self.memory = memory
        self._last: tuple[Graph, _Compiled] | None = None

    def __call__(
        self,
        graph: Graph,
        region: Region,
        rows: Tensor,
        offsets: Sequence[Fraction],
        seconds: float,
    ) -> ClauseResult:
        """Searches one clause, by the contract of `exclusion.Search`."""
        deadline = time.perf_counter() + seconds
        if curved := graph.curved:
            return ClauseResult(False, why=f"layer '{curved}' has another activation than ReLU")
        if seconds <= 0.0:
            return ClauseResult(False, why="time")
        search = self._compiled(graph, region, rows[0]).search(region, rows[0], offsets)
        finding = search.run(deadline)
        if finding.settled or finding.cause:
            return ClauseResult(finding.certified, finding.point, finding.cause or "")
        return ClauseResult(False, why="a leaf without units to split is not proved")

    def _compiled(self, graph: Graph, region: Region, rows: Tensor) -> "_Compiled":
        if self._last is None or self._last[0] is not graph or not self._last[1].takes(rows):
            shape = region.x.shape[1:]
            self._last = graph, _Compiled(graph, shape, rows, self.memory)
        return self._last[1]


class _Compiled:
    """The compiled computations for all clauses that have as many rows as the first one."""

    def __init__(self, graph: Graph, shape: Sequence[int], rows: Tensor, memory: float) -> None:
        self.rows = tf.Variable(tf.zeros_like(rows))
        self.offsets = tf.Variable(tf.zeros(rows.shape[0]))
        ends = [tf.TensorSpec([1, *shape])] * 2
        self.bounder = Bounder(
            lambda: clause_graph(graph, self.rows.value(), self.offsets.value()),
            between,
            ends,
            memory,
        )

    def takes(self, rows: Tensor) -> bool:
        return self.rows.shape == rows.shape

    def search(self, region: Region, rows: Tensor, offsets: Sequence[Fraction]) -> TreeSearch:
        """The search for one clause, with the root's bounds."""
        self.rows.assign(rows)
        self.offsets.assign(raised(offsets))
        root = self.bounder.root(region.lower, region.upper)
        return TreeSearch(self.bounder, root, LABEL, CLASSES)
