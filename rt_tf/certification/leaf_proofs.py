"""Proofs of bounds with optimised slopes: a tree of one leaf for every row."""

from collections.abc import Mapping

import numpy as np

from rt_tf.certification.proof import CROWN, Proof, Rule, Tree, unsplit
from rt_tf.network.ops import Tensor

RULES: dict[str, Rule] = {
    "alpha_crown": CROWN,
    "shared_slope": {"intermediate": "backward", "slope": "parallel", "shared": True},
}


# What a rung asks of its bound besides: of two that are both sound, the better one.
OPTIONS: dict[str, dict[str, None]] = {"dual": {"cut": None}}


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
