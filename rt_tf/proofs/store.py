"""Proofs of single examples on disk, until a report gathers them: `proofs/00012.npz`."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rt_tf.certification.proof import LEAF, Leaf, Proof, Tree
from rt_tf.checker import archive
from rt_tf.files import write_bytes
from rt_tf.proofs.certificates import arrays_of
from rt_tf.proofs.network_file import Arrays, archived
from rt_tf.records.consistency import Inconsistent


def keep(folder: Path, index: int, proof: Proof) -> str:
    """Writes an example's proof, whole or not at all; returns the file's name within the folder."""
    file = f"proofs/{index:05d}.npz"
    arrays = {"rule": np.array(json.dumps(proof.rule)), **arrays_of(proof)}
    write_bytes(folder / file, archived(arrays))
    return file


def load(path: Path) -> Proof:
    """The proof in a file that `keep` wrote; raises Inconsistent for any other file."""
    try:
        return _proof(archive.read(path))
    except (KeyError, ValueError, IndexError) as error:
        raise Inconsistent(f"{path}: expected a stored proof; it cannot be read") from error


def _proof(arrays: Arrays) -> Proof:
    rows = [int(name.split(".")[0]) for name in arrays if name.endswith(".tree")]
    trees = {j: _tree(arrays, j) for j in rows}
    return Proof(json.loads(str(arrays["rule"])), arrays["units"], trees)


def _tree(arrays: Arrays, j: int) -> Tree:
    nodes, slopes = arrays[f"{j}.tree"], arrays[f"{j}.slopes"]
    multipliers = np.split(arrays[f"{j}.multipliers"], np.cumsum(list(_depths(nodes)))[:-1])
    return Tree(nodes, [Leaf(s, m) for s, m in zip(slopes, multipliers, strict=True)])


def _depths(nodes: np.ndarray) -> Iterator[int]:
    """The number of splits above each leaf. nodes: a tree in preorder, [nodes, 2]."""
    open_depths = [0]
    for node in nodes:
        depth = open_depths.pop()
        if tuple(node) == LEAF:
            yield depth
        else:
            open_depths += [depth + 1, depth + 1]
