"""What a certificate was made of: trees of splits with slopes and multipliers (docs/proofs.md)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from rt_tf.network.ops import Tensor

Rule = dict[str, str | bool]  # of the pre-activation bounds

CROWN: Rule = {"intermediate": "backward", "slope": "adaptive", "shared": False}
UNCUT: Rule = {"intermediate": "uncut", "slope": "parallel", "shared": False}
SLOPE_RULES: dict[str, Rule] = {
    "alpha_crown": CROWN,
    "shared_slope": {"intermediate": "backward", "slope": "parallel", "shared": True},
}
# What a rung asks of its bound besides: of two that are both sound, the better one.
OPTIONS: dict[str, dict[str, None]] = {"dual": {"cut": None}}
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


def leaf_proofs(
    rule: Rule,
    others: np.ndarray,
    slopes: Mapping[int, Tensor],
    counts: Mapping[int, Tensor],
) -> list[Proof]:
    """The proofs of a batch. others: [batch, rows], the classes that rows compare the label with.

    slopes: by activation, [batch, rows, ...], those that the bound was computed with; counts:
    [batch, ...], whether a unit's slope makes a difference.
    """
    units = np.concatenate([_units(i, t.shape[1:].num_elements()) for i, t in counts.items()])
    kept = np.concatenate([np.reshape(t.numpy(), (len(others), -1)) for t in counts.values()], 1)
    by_row = np.concatenate(
        [np.reshape(t.numpy(), (*others.shape, -1)) for t in slopes.values()], 2
    )
    by_row = by_row.astype(np.float16)  # [batch, rows, units]
    return [
        Proof(rule, units[kept[k]], _trees(others[k], by_row[k][:, kept[k]]))
        for k in range(len(others))
    ]


def _units(activation: int, count: int) -> np.ndarray:
    return np.stack([np.full(count, activation), np.arange(count)], axis=1).astype(np.int32)


def _trees(others: np.ndarray, slopes: np.ndarray) -> dict[int, Tree]:
    """One leaf for every row. slopes: [rows, units]."""
    return {int(j): unsplit(row) for j, row in zip(others, slopes, strict=True)}
