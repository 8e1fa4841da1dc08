"""Proofs of single examples come back as they were kept."""

from pathlib import Path

import numpy as np

from rt_tf.certify.growth import Growth
from rt_tf.certify.proof import CROWN, Proof, unsplit
from rt_tf.reporting import proof_store

PLACES = np.array([[3, 7], [3, 9], [6, 0]], np.int32)


def test_a_proof_comes_back(tmp_path: Path) -> None:
    growth, rng = Growth(), np.random.default_rng(0)
    first, second = growth.split(0, 2)
    leaves = [first, *growth.split(second, 0)]
    for leaf in leaves:
        growth.close(leaf, rng.random(3), rng.random(3).astype(np.float32))
    trees = {4: growth.tree(PLACES, np.arange(3)), 1: unsplit(np.ones(3, np.float16))}
    file = proof_store.keep(tmp_path, 12, Proof(CROWN, PLACES, trees))
    found = proof_store.load(tmp_path / file)
    assert found.rule == CROWN
    np.testing.assert_array_equal(found.units, PLACES)
    assert found.trees.keys() == trees.keys()
    for j, tree in trees.items():
        np.testing.assert_array_equal(found.trees[j].nodes, tree.nodes)
        for ours, theirs in zip(found.trees[j].leaves, tree.leaves, strict=True):
            np.testing.assert_array_equal(ours.slopes, theirs.slopes)
            np.testing.assert_array_equal(ours.multipliers, theirs.multipliers)
