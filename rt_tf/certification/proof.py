"""What a certificate was made of: trees of splits with slopes and multipliers (docs/proofs.md)."""

from typing import NamedTuple

import numpy as np

Rule = dict[str, str | bool]  # of the pre-activation bounds

CROWN: Rule = {"intermediate": "backward", "slope": "adaptive", "shared": False}
UNCUT: Rule = {"intermediate": "uncut", "slope": "parallel", "shared": False}
LEAF = (-1, -1)  # in a tree's nodes


class Leaf(NamedTuple):
    """One backward pass. slopes: float16 [units]; multipliers: float32, of the splits above it."""

    slopes: np.ndarray
    multipliers: np.ndarray


class Tree(NamedTuple):
    """Splits in preorder: (pre-activation node, flat unit), or (-1, -1) for a leaf; the leaves."""

    nodes: np.ndarray  # int32 [nodes, 2]
    leaves: list[Leaf]


class Proof(NamedTuple):
    """A certificate of one example by the trees of its open rows.

    rule: of the pre-activation bounds, {"intermediate", "slope", "shared"}. units: (activation
    node, flat unit) whose slopes the leaves give, int32 [units, 2]. trees: by the other class.
    """

    rule: Rule
    units: np.ndarray
    trees: dict[int, Tree]


def unsplit(slopes: np.ndarray) -> Tree:
    """The tree of one leaf. slopes: float16 [units]."""
    return Tree(np.array([LEAF], np.int32), [Leaf(slopes, np.zeros(0, np.float32))])
