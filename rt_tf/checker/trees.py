"""Trees of splits: the signs that their leaves assume, and the bound of each."""

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from rt_tf.checker.backward import Passes, chunks
from rt_tf.checker.enclosure import Enclosure
from rt_tf.checker.lines import Given, Lines, with_given
from rt_tf.checker.malformed import require
from rt_tf.checker.network import Network
from rt_tf.checker.region import Region

LEAF = -1


class Split(NamedTuple):
    """A unit of a pre-activation node that is >= 0 (sign 1) or <= 0 (sign -1)."""

    node: int
    unit: int
    sign: int


class Tree(NamedTuple):
    """The splits of the proof against one other class.

    leaves: the splits above each leaf, in preorder, from the root down. slopes: float64
    [leaves, units]. multipliers: of each leaf's splits, in order.
    """

    leaves: list[tuple[Split, ...]]
    slopes: np.ndarray
    multipliers: list[np.ndarray]


@dataclasses.dataclass(frozen=True)
class Rule:
    """The method of pre-activation bounds, and the lines of units without slopes in the proof."""

    intermediate: str
    slope: str
    shared: bool = False


class Leaf(NamedTuple):
    """One backward pass: for the other class, over the part that the splits leave."""

    other: int
    splits: tuple[Split, ...]
    slopes: np.ndarray
    multipliers: np.ndarray


def walk(nodes: np.ndarray, network: Network, where: str) -> list[tuple[Split, ...]]:
    """The splits above each leaf of a tree in preorder [nodes, 2]; MalformedError if it is none."""
    before, leaves = set(network.relus().values()) - {0}, []
    waiting: list[tuple[Split, ...]] = [()]
    for node, unit in nodes.tolist():
        require(bool(waiting), where, "a tree that ends with its last leaf", "more nodes")
        path = waiting.pop()
        if (node, unit) == (LEAF, LEAF):
            leaves.append(path)
            continue
        known = node in before and 0 <= unit < network.size(node)
        require(known, where, "splits at units of nodes that activations read", (node, unit))
        new = all((s.node, s.unit) != (node, unit) for s in path)
        require(new, where, "a unit to be split once on a way down", (node, unit))
        waiting += [(*path, Split(node, unit, -1)), (*path, Split(node, unit, 1))]
    require(not waiting, where, "a whole tree", f"{len(waiting)} leaves too few")
    return leaves


def listed(trees: dict[int, Tree]) -> list[Leaf]:
    """All leaves of all trees."""
    return [
        Leaf(other, splits, tree.slopes[k], tree.multipliers[k])
        for other, tree in trees.items()
        for k, splits in enumerate(tree.leaves)
    ]


class Leaves:
    """Bounds of leaves, which share the pre-activation bounds and the units with given slopes."""

    def __init__(
        self,
        network: Network,
        region: Region,
        enclosure: Enclosure,
        rule: Rule,
        units: np.ndarray,
    ) -> None:
        self.network = network
        self.region = region
        self.enclosure = enclosure
        self.rule = rule
        self.columns = {i: np.flatnonzero(units[:, 0] == i) for i in network.relus()}
        self.units = units[:, 1]

    def bounds(self, label: int, leaves: list[Leaf]) -> np.ndarray:
        """Lower bounds of the label's logit less the other class's, on every leaf: [leaves]."""
        slices = chunks(len(leaves), self.network)
        return np.concatenate([self._chunk(label, leaves[chunk]) for chunk in slices])

    def _chunk(self, label: int, leaves: list[Leaf]) -> np.ndarray:
        slopes = np.stack([leaf.slopes for leaf in leaves])
        lower, upper = self._cut(leaves)
        lines = {i: self._lines(i, lower[k], upper[k], slopes) for i, k in self._relus()}
        priced = self._priced(leaves)
        passes = Passes(self.network, self.region, self.enclosure, lines, splits=priced)
        others = np.array([leaf.other for leaf in leaves])
        return passes.minimum(self.network.output, margins(self.network.classes, label, others))

    def _relus(self) -> Iterator[tuple[int, int]]:
        yield from self.network.relus().items()

    def _lines(self, i: int, lower: np.ndarray, upper: np.ndarray, slopes: np.ndarray) -> Lines:
        columns, leak = self.columns[i], self.network.slope(i)
        if not len(columns):
            return with_given(lower, upper, self.rule.slope, None, leak)
        given = np.zeros((len(slopes), self.network.size(i)))
        known = np.zeros(self.network.size(i), bool)
        given[:, self.units[columns]] = slopes[:, columns]
        known[self.units[columns]] = True
        chosen = Given(given, known, self.rule.shared)
        return with_given(lower, upper, self.rule.slope, chosen, leak)

    def _cut(self, leaves: list[Leaf]) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
        """The ends of the pre-activation nodes, by leaf where splits cut them: [1 or leaves, n].

        Where a split leaves nothing, both ends are 0: every bound is true of nothing.
        """
        lower = {k: self.enclosure.lower[k][np.newaxis] for _, k in self._relus()}
        upper = {k: self.enclosure.upper[k][np.newaxis] for _, k in self._relus()}
        for node, (rows, units, signs) in self._splits(leaves).items():
            for ends, better in ((lower, np.maximum), (upper, np.minimum)):
                ends[node] = np.repeat(ends[node], len(leaves), axis=0)
                inward = signs > 0 if better is np.maximum else signs < 0
                at = rows[inward], units[inward]
                ends[node][at] = better(ends[node][at], 0.0)
            crossed = lower[node] > upper[node]
            lower[node][crossed] = upper[node][crossed] = 0.0
        return lower, upper

    def _priced(self, leaves: list[Leaf]) -> dict[int, np.ndarray]:
        """Minus multiplier times sign of every split, by node [leaves, units]."""
        multipliers = np.concatenate([leaf.multipliers for leaf in leaves])
        owner = np.array([split.node for leaf in leaves for split in leaf.splits], np.int64)
        found = {}
        for node, (rows, units, signs) in self._splits(leaves).items():
            found[node] = np.zeros((len(leaves), self.network.size(node)))
            found[node][rows, units] = -multipliers[owner == node] * signs
        return found

    @staticmethod
    def _splits(leaves: list[Leaf]) -> dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """By node: numbers of leaves, units and signs of all splits at it."""
        table = np.array(
            [(s.node, row, s.unit, s.sign) for row, leaf in enumerate(leaves) for s in leaf.splits],
            np.int64,
        ).reshape(-1, 4)
        return {
            int(node): tuple(table[table[:, 0] == node, 1:].T) for node in np.unique(table[:, 0])
        }


def margins(classes: int, label: int, others: np.ndarray) -> np.ndarray:
    """Rows of f_label - f_other: [others, classes]."""
    rows = np.zeros((len(others), classes))
    rows[:, label] = 1.0
    rows[np.arange(len(others)), others] -= 1.0
    return rows
