"""The tree of splits of one row while it grows, and what proves its leaves."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rt_tf.certification.proof import LEAF, Leaf, Tree


class SplitNode(NamedTuple):
    """A split of a unit: the nodes where it is >= 0 and where it is <= 0, by number."""

    unit: int
    active: int
    inactive: int


class SplitTree:
    """Nodes by number, the root being 0: splits, and leaves once they are proved."""

    def __init__(self) -> None:
        self.splits: dict[int, SplitNode] = {}
        self.leaves: dict[int, tuple[np.ndarray, np.ndarray]] = {}
        self._size = 1

    def split(self, node: int, unit: int) -> tuple[int, int]:
        """Splits a leaf and returns the numbers of its two parts, active and inactive."""
        self.splits[node] = SplitNode(unit, self._size, self._size + 1)
        self._size += 2
        return self.splits[node].active, self.splits[node].inactive

    def close(self, node: int, slopes: np.ndarray, multipliers: np.ndarray) -> None:
        """Notes the slopes and multipliers, each [units], that prove a leaf."""
        self.leaves[node] = slopes.astype(np.float16), multipliers

    def tree(self, places: np.ndarray, columns: np.ndarray) -> Tree:
        """The tree, once all its leaves are closed.

        places: [units, 2], pre-activation node and flat unit. columns: [slopes], the units whose
        slopes the leaves give.
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
                split = self.splits[node]
                below = [*path, split.unit]
                stack += [(split.inactive, below), (split.active, below)]
