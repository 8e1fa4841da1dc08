"""The search of branch and bound for one example: it bounds open leaves and splits them.

Sources: Wang et al. 2021 (beta-CROWN); De Palma et al. 2021, filtered smart branching: of the units
that cost the bound most, the one whose children's bounds are best.
"""

import heapq
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.bounds.beta_crown import Leaves
from rt_tf.bounds.result import margin_spec
from rt_tf.certification.branching.bounder import Bounder, LeafArrays, Root
from rt_tf.certification.branching.leaf_program import LeafProgram
from rt_tf.certification.branching.split_tree import SplitTree
from rt_tf.certification.proof import CROWN, Proof
from rt_tf.certification.rung import Finding
from rt_tf.network.graph import Graph

PARENTS = 32  # leaves that are split at once
ROOT_STEPS, STEPS = 40, 10  # of ascent, for an unsplit row and for a new leaf
LAST_STEPS = 400  # for a leaf without units to split
CANDIDATES = 4  # units whose splits are tried for a leaf


class Open(NamedTuple):
    """A leaf that is not proved; the one with the least bound comes first.

    number: of the leaf among all. row: the leaf's row of the specification; node: of the row's
    tree. signs: int8 [units]; slopes: float16 [units]; multipliers: float32 [units]. candidates:
    units to split, the costliest first.
    """

    bound: float
    number: int
    row: int
    node: int
    signs: np.ndarray
    slopes: np.ndarray
    multipliers: np.ndarray
    candidates: np.ndarray

    @property
    def batch_row(self) -> tuple:
        """The leaf's entries in a batch, in the order of the batch's fields."""
        return self.row, self.node, self.signs, self.slopes, self.multipliers


class Batch(NamedTuple):
    """Leaves to bound, by their rows and nodes.

    rows, nodes: [leaves]; signs, slopes, multipliers: [leaves, units].
    """

    rows: np.ndarray
    nodes: np.ndarray
    signs: np.ndarray
    slopes: np.ndarray
    multipliers: np.ndarray

    def take(self, places: np.ndarray) -> "Batch":
        """The leaves at these places."""
        return Batch(*(values[places] for values in self))


class TreeSearch:
    """The search for one example: leaves that are open, and each row's tree."""

    def __init__(self, bounder: Bounder, root: Root, label: int, classes: int) -> None:
        self.bounder = bounder
        self.root = root
        self.label = label
        self.spec = margin_spec(tf.constant([label], tf.int64), classes)[0].numpy()
        self.others = np.delete(np.arange(classes), label)
        self.trees = [SplitTree() for _ in self.others]
        self.open: list[Open] = []
        self.unsplittable: list[Open] = []  # leaves without units to split, or without bounds
        self.triangles = heights(self.root.lower, self.root.upper)
        self.least = np.inf  # least bound of the leaves that are proved
        self.bounded = 0
        self.timed_out = False  # whether some unsplittable leaves were not bounded a last time

    def run(self, deadline: float) -> Finding:
        """Searches until all rows are proved, a counterexample turns up, or time is over."""
        point = self._bound(self.start(), ROOT_STEPS)
        while point is None and self.open:
            if time.perf_counter() > deadline:
                return self._finding("time")
            point = self._bound(self._children(self._parents()), STEPS)
        if point is None and self.unsplittable and self.root.units.size:
            is_box = self.bounder.region(*self.root.region_inputs).threat.is_box
            point = self._solved(deadline) if is_box else self._ascended(deadline)
        if point is not None:
            return Finding(-np.inf, 0.0, point=point, falsified=True)
        return self._finding("time" if self.timed_out else None)

    def _ascended(self, deadline: float) -> np.ndarray | None:
        """Bounds leaves without units to split by a longer ascent; a counterexample, if any."""
        for some in self._unsplittable_leaves(PARENTS, deadline):
            if (point := self._bound(_batch(some), LAST_STEPS)) is not None:
                return point
        return None

    def _solved(self, deadline: float) -> np.ndarray | None:
        """Bounds leaves of a box by linear programs; a counterexample, if any.

        The multipliers of a linear program are the best there are.
        """
        program = LeafProgram(self.bounder, self.root)
        for [leaf] in self._unsplittable_leaves(1, deadline):
            left = deadline - time.perf_counter()
            vertex = program.least(self.spec[leaf.row], leaf.signs, left)
            if vertex is None:
                point = self._bound(_batch([leaf]), LAST_STEPS)
            elif self._is_wrong(program.graph, vertex.point):
                return vertex.point
            else:
                solved = leaf._replace(multipliers=vertex.multipliers)
                point = self._bound(_batch([solved]), 0)
            if point is not None:
                return point
        return None

    def _unsplittable_leaves(self, count: int, deadline: float) -> Iterator[list[Open]]:
        """Takes leaves without units to split, the worst first, `count` at a time."""
        stuck = sorted(leaf for leaf in self.unsplittable if np.isfinite(leaf.bound))
        self.unsplittable = [leaf for leaf in self.unsplittable if not np.isfinite(leaf.bound)]
        for begin in range(0, len(stuck), count):
            self.timed_out = time.perf_counter() > deadline
            if self.timed_out:
                self.unsplittable += stuck[begin:]
                return
            yield stuck[begin : begin + count]

    def _is_wrong(self, graph: Graph, point: np.ndarray) -> bool:
        """Whether an input [...] is a counterexample."""
        x = tf.constant(point[np.newaxis])
        inside = self.bounder.region(*self.root.region_inputs).inside(x).numpy()[0]
        return bool(inside) and graph(x).numpy()[0].argmax() != self.label

    def _finding(self, cause: str | None) -> Finding:
        margin = min([self.least, *(leaf.bound for leaf in (*self.open[:1], *self.unsplittable))])
        return Finding(float(margin), 0.0, cause, proof=self._proof() if margin > 0.0 else None)

    def start(self) -> Batch:
        """The unsplit leaf of every row, with CROWN's slopes."""
        count, units = len(self.others), len(self.root.units)
        crown = (self.root.upper > -self.root.lower).astype(np.float32)
        zeros = np.zeros((count, units), np.float32)
        start = np.broadcast_to(crown, (count, units))
        return Batch(np.arange(count), np.zeros(count, np.int64), zeros, start, zeros)

    def _parents(self) -> list[Open]:
        count = min(PARENTS, len(self.open))
        return [heapq.heappop(self.open) for _ in range(count)]

    def _children(self, parents: Sequence[Open]) -> Batch:
        """The two parts of each leaf, split at the best of its candidates."""
        units = np.stack([np.resize(parent.candidates, CANDIDATES) for parent in parents])
        tried = self._sides(parents, units)
        best = best_splits(self.bounder.quick(self.root, self.leaves(tried)), len(parents))
        first = 2 * (np.arange(len(parents)) * CANDIDATES + best)
        chosen = tried.take(np.stack([first, first + 1], axis=1).ravel())
        forks = zip(parents, units[np.arange(len(parents)), best], strict=True)
        nodes = [self.trees[parent.row].split(parent.node, int(unit)) for parent, unit in forks]
        return chosen._replace(nodes=np.array(nodes).ravel())

    def _sides(self, parents: Sequence[Open], units: np.ndarray) -> Batch:
        """Both parts of leaves split at units [parents, candidates]: >= 0, <= 0, >= 0, ..."""
        batch = Batch(*(np.repeat(c, 2 * units.shape[1], axis=0) for c in _batch(parents)))
        where = np.arange(2 * units.size), np.repeat(units.ravel(), 2)
        batch.signs[where] = np.tile([1, -1], units.size)
        return batch

    def leaves(self, batch: Batch) -> Leaves:
        """The leaves of a batch with their rows of the specification."""
        return Leaves(self.spec[batch.rows], batch.signs, batch.slopes, batch.multipliers)

    def _bound(self, batch: Batch, steps: int) -> np.ndarray | None:
        """Bounds leaves and keeps those that stay open; returns a counterexample, if any."""
        bounds = self.bounder.bound(self.root, self.leaves(batch), steps)
        wrong = bounds.inside & (bounds.logits.argmax(axis=1) != self.label)
        if wrong.any():
            return bounds.points[wrong][0]
        for k in range(len(batch.rows)):
            self._keep(batch, bounds, k)
        self.bounded += len(batch.rows)
        return None

    def _keep(self, batch: Batch, bounds: LeafArrays, k: int) -> None:
        """Closes leaf k of the batch if it is proved; else keeps it open, with units to split."""
        row, node, margin = int(batch.rows[k]), int(batch.nodes[k]), float(bounds.margins[k])
        if margin > 0.0:
            self.trees[row].close(node, bounds.slopes[k], bounds.multipliers[k])
            self.least = min(self.least, margin)
            return
        leaf = Open(
            margin,
            self.bounded + k,
            row,
            node,
            batch.signs[k].astype(np.int8),
            bounds.slopes[k].astype(np.float16),
            bounds.multipliers[k],
            self._candidates(batch.signs[k], bounds.scores[k]),
        )
        if leaf.candidates.size and np.isfinite(margin):
            heapq.heappush(self.open, leaf)
        else:
            self.unsplittable.append(leaf)

    def _candidates(self, signs: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """The costliest of the units whose sign is open; among equals, the largest triangles."""
        ranks = scores + 1e-9 * self.triangles
        order = np.argsort(-ranks, kind="stable")
        return order[signs[order] == 0][:CANDIDATES]

    def _proof(self) -> Proof:
        places = self.bounder.places(self.root)
        units, columns = self.bounder.slope_units(self.root)
        trees = {
            int(j): tree.tree(places, columns)
            for j, tree in zip(self.others, self.trees, strict=True)
        }
        return Proof(CROWN, units, trees)


def _batch(leaves: Sequence[Open]) -> Batch:
    """The leaves as a batch."""
    columns = zip(*(leaf.batch_row for leaf in leaves), strict=True)
    return Batch(*(np.array(column) for column in columns))


def heights(lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """The height of the ReLU's triangle above 0, for units whose sign is open: [units]."""
    return upper * -lower / (upper - lower)


def best_splits(bounds: np.ndarray, parents: int) -> np.ndarray:
    """The number of the best of the splits tried for each parent: [parents].

    bounds: of both parts of all, [parents * candidates * 2]. The best split has the best sum of its
    worse part and a tenth of both parts, of which only what is below 0 counts.
    """
    lacking = np.minimum(bounds, 0.0).reshape(parents, -1, 2)
    return (lacking.min(axis=2) + 0.1 * lacking.sum(axis=2)).argmax(axis=1)
