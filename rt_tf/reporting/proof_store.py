"""Proofs of single examples on disk, until a report gathers them: `proofs/00012.npz`."""

import io
import json
from pathlib import Path

import numpy as np

from rt_tf.certify.proof import Leaf, Proof, Tree
from rt_tf.files import write_bytes


def keep(folder: Path, index: int, proof: Proof) -> str:
    """Writes an example's proof whole or not at all; the file's name within the folder."""
    file = f"proofs/{index:05d}.npz"
    arrays = {"rule": np.array(json.dumps(proof.rule)), "units": proof.units}
    for j, tree in proof.trees.items():
        arrays[f"{j}.tree"] = tree.nodes
        arrays[f"{j}.slopes"] = np.stack([leaf.slopes for leaf in tree.leaves])
        arrays[f"{j}.multipliers"] = np.concatenate([leaf.multipliers for leaf in tree.leaves])
        arrays[f"{j}.depths"] = np.array([len(leaf.multipliers) for leaf in tree.leaves])
    data = io.BytesIO()
    np.savez_compressed(data, allow_pickle=False, **arrays)
    write_bytes(folder / file, data.getvalue())
    return file


def load(path: Path) -> Proof:
    """Reads what `keep` wrote."""
    with np.load(path, allow_pickle=False) as arrays:
        rows = [int(name.split(".")[0]) for name in arrays if name.endswith(".tree")]
        trees = {j: _tree(arrays, j) for j in rows}
        return Proof(json.loads(str(arrays["rule"])), arrays["units"], trees)


def _tree(arrays: np.lib.npyio.NpzFile, j: int) -> Tree:
    cuts = np.cumsum(arrays[f"{j}.depths"])[:-1]
    multipliers = np.split(arrays[f"{j}.multipliers"], cuts)
    slopes = arrays[f"{j}.slopes"]
    return Tree(arrays[f"{j}.tree"], [Leaf(s, m) for s, m in zip(slopes, multipliers, strict=True)])
