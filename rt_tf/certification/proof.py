"""The content of a certificate: trees of splits with slopes and multipliers (docs/proofs.md)."""

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
# Arguments of a rung's bound besides the settings; cut=None: the better of two sound bounds.
OPTIONS: dict[str, dict[str, None]] = {"dual": {"cut": None}}
LEAF = (-1, -1)  # in a tree's nodes


class Leaf(NamedTuple):
    """One backward pass that proves a part of a split region.

    slopes: float16 [units]; multipliers: of the splits from the root to here, float32 [splits].
    """

    slopes: np.ndarray
    multipliers: np.ndarray


class Tree(NamedTuple):
    """A tree of splits in preorder, and its leaves in the same order.

    nodes: int32 [nodes, 2], (pre-activation node, flat unit) for a split, LEAF for a leaf.
    """

    nodes: np.ndarray
    leaves: list[Leaf]


class Proof(NamedTuple):
    """The certificate of one example: a tree for each of its open rows.

    rule: of the pre-activation bounds, {"intermediate", "slope", "shared"}. units: int32 [units,
    2], (activation node, flat unit) of the slopes that the leaves give. trees: by the row's other
    class.
    """

    rule: Rule
    units: np.ndarray
    trees: dict[int, Tree]


def unsplit(slopes: np.ndarray) -> Tree:
    """A tree of a single leaf. slopes: float16 [units]."""
    return Tree(np.array([LEAF], np.int32), [Leaf(slopes, np.zeros(0, np.float32))])


def leaf_proofs(
    rule: Rule,
    others: np.ndarray,
    slopes: Mapping[int, Tensor],
    counts: Mapping[int, Tensor],
) -> list[Proof]:
    """The proofs of a batch of examples by backward passes without splits.

    rule: of the pre-activation bounds. others: [batch, rows], the class that each row compares the
    label with. slopes: by activation, [batch, rows, ...], those of the bound's lower lines. counts:
    by activation, [batch, ...], whether a unit's slope makes a difference.
    """
    units = np.concatenate([_units(i, t.shape[1:].num_elements()) for i, t in counts.items()])
    matters = np.concatenate([np.reshape(t.numpy(), (len(others), -1)) for t in counts.values()], 1)
    by_row = np.concatenate(
        [np.reshape(t.numpy(), (*others.shape, -1)) for t in slopes.values()], 2
    )
    by_row = by_row.astype(np.float16)  # [batch, rows, units]
    return [
        Proof(rule, units[matters[k]], _trees(others[k], by_row[k][:, matters[k]]))
        for k in range(len(others))
    ]


def _units(activation: int, count: int) -> np.ndarray:
    return np.stack([np.full(count, activation), np.arange(count)], axis=1).astype(np.int32)


def _trees(others: np.ndarray, slopes: np.ndarray) -> dict[int, Tree]:
    """A tree of one leaf for every row. others: [rows]; slopes: [rows, units]."""
    return {int(j): unsplit(row) for j, row in zip(others, slopes, strict=True)}
