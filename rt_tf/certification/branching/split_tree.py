"""The tree of splits of one row, as it grows, and what closed its leaves."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rt_tf.certification.proof import LEAF, Leaf, Tree


class SplitNode(NamedTuple):
    """A split of a unit: the nodes where it is >= 0 and where it is <= 0."""

    unit: int
    active: int
    inactive: int


class SplitTree:
    """Nodes by number, the root being 0: forks, and leaves once they are proved."""

    def __init__(self) -> None:
        self.splits: dict[int, SplitNode] = {}
        self.leaves: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._size = 1

    def split(self, node: int, unit: int) -> tuple[int, int]:
        """Splits a leaf; the numbers of the two new ones."""
        self.splits[node] = SplitNode(unit, self._size, self._size + 1)
        self._size += 2
        return self.splits[node].active, self.splits[node].inactive

    def close(self, node: int, slopes: np.ndarray, multipliers: np.ndarray) -> None:
        """A leaf is proved by slopes and multipliers, each [units]."""
        self.leaves[node] = slopes.astype(np.float16), multipliers

    def tree(self, places: np.ndarray, columns: np.ndarray) -> Tree:
        """The tree, once all its leaves are closed.

        places: [units, 2], pre-activation node and flat unit. columns: of the units whose slopes
        the leaves give.
        """
        nodes: list[tuple[int, int]] = []
        leaves: list[Leaf] = []
        for node, path in self._preorder():
            if node in self.splits:
                nodes.append(tuple(places[self.splits[node].unit]))
            else:
                slopes, multipliers = self.leaves[node]
                nodes.append(LEAF)
                leaves.append(Leaf(slopes[columns], multipliers[path].astype(np.float32)))
        return Tree(np.array(nodes, np.int32), leaves)

    def _preorder(self) -> Iterator[tuple[int, list[int]]]:
        """Every node, with the units that are split on the way to it."""
        stack: list[tuple[int, list[int]]] = [(0, [])]
        while stack:
            node, path = stack.pop()
            yield node, path
            if node in self.splits:
                fork = self.splits[node]
                below = [*path, fork.unit]
                stack += [(fork.inactive, below), (fork.active, below)]
