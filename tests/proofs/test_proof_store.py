"""Proofs of single examples are read back as they were written."""

from pathlib import Path

import numpy as np
import pytest

from rt_tf.certification.branching.split_tree import SplitTree
from rt_tf.certification.proof import CROWN, Proof, unsplit
from rt_tf.proofs import store
from rt_tf.proofs.network_file import archived
from rt_tf.records.consistency import Inconsistent

PLACES = np.array([[3, 7], [3, 9], [6, 0]], np.int32)


def test_a_proof_comes_back(tmp_path: Path) -> None:
    growth, rng = SplitTree(), np.random.default_rng(0)
    first, second = growth.split(0, 2)
    leaves = [first, *growth.split(second, 0)]
    for leaf in leaves:
        growth.close(leaf, rng.random(3), rng.random(3).astype(np.float32))
    trees = {4: growth.tree(PLACES, np.arange(3)), 1: unsplit(np.ones(3, np.float16))}
    file = store.keep(tmp_path, 12, Proof(CROWN, PLACES, trees))
    proof = store.load(tmp_path / file)
    assert proof.rule == CROWN
    np.testing.assert_array_equal(proof.units, PLACES)
    assert proof.trees.keys() == trees.keys()
    for j, tree in trees.items():
        np.testing.assert_array_equal(proof.trees[j].nodes, tree.nodes)
        for ours, theirs in zip(proof.trees[j].leaves, tree.leaves, strict=True):
            np.testing.assert_array_equal(ours.slopes, theirs.slopes)
            np.testing.assert_array_equal(ours.multipliers, theirs.multipliers)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: None,
        lambda data: b"",
        lambda data: data[:10],
        lambda data: data[:-5],
        lambda data: archived({"rule": np.array("{}")}),
        lambda data: archived({"rule": np.array("{"), "units": PLACES}),
        lambda data: archived({"1.tree": PLACES, "1.slopes": PLACES, "1.multipliers": PLACES}),
        lambda data: archived({"1.tree": -np.ones((2, 2)), "1.slopes": PLACES}),
    ],
)
def test_a_damaged_proof_is_named(tmp_path: Path, spoil) -> None:
    proof = Proof(CROWN, PLACES, {1: unsplit(np.ones(3, np.float16))})
    path = tmp_path / store.keep(tmp_path, 12, proof)
    data = spoil(path.read_bytes())
    path.unlink() if data is None else path.write_bytes(data)
    with pytest.raises(Inconsistent, match=r"00012\.npz: expected a stored proof; it cannot"):
        store.load(path)
