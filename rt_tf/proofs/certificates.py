"""proofs.npz: certificates with the content of their proofs (docs/proofs.md)."""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from rt_tf.certification.proof import Proof, Tree
from rt_tf.checker import proofs as checker_proofs
from rt_tf.checker.region import THREATS
from rt_tf.domain import UNIT, Domain
from rt_tf.files import write_bytes
from rt_tf.proofs.network_file import Arrays, archived

# (bounds, intermediate bounds, slope) of rungs whose rule determines the proof.
RUNG_RULES = {
    "interval": ("interval", "interval", "adaptive"),
    "crown_ibp": ("linear", "interval", "adaptive"),
    "fast_lin_ibp": ("linear", "interval", "parallel"),
    "dual": ("linear", "backward", "parallel"),
    "zonotope": ("linear", "backward", "parallel"),
    "crown": ("linear", "backward", "adaptive"),
}


@dataclasses.dataclass(frozen=True)
class Statement:
    """The statement that all certificates of a file make: a ball, and the domain of inputs.

    scale: the share of eps by which each input may move, nested lists of the input's shape; None
    where each may move by all of it.
    """

    threat: str
    eps: float
    domain: Domain = UNIT
    scale: list[Any] | None = None


@dataclasses.dataclass(frozen=True)
class Certified:
    """One certificate: the example, the rung that certified it, and its proof.

    image: [...]. proof: None where the rung's rule determines it. why_unchecked: why the checker,
    a program of its own, cannot check it; None where it can.
    """

    index: int
    label: int
    image: np.ndarray
    rung: str
    proof: Proof | None
    why_unchecked: str | None


def write_proofs(
    path: Path,
    network_sha256: str,
    statement: Statement,
    classes: int,
    certificates: Iterable[Certified],
) -> None:
    """Writes proofs.npz, whole or not at all.

    classes: of the network. Certificates that cannot be checked are listed with the reason.
    """
    write_bytes(path, archived(proof_arrays(network_sha256, statement, classes, certificates)))


def proof_arrays(
    network_sha256: str,
    statement: Statement,
    classes: int,
    certificates: Iterable[Certified],
) -> Arrays:
    """The arrays of proofs.npz, the JSON text `header` among them."""
    records: list[dict[str, Any]] = []
    unchecked: list[dict[str, Any]] = []
    images: list[np.ndarray] = []
    arrays: Arrays = {}
    for certified in certificates:
        why = _why_unchecked(certified, statement.threat)
        if why is not None:
            unchecked.append(_example_record(certified) | {"why": why})
            continue
        parts = {} if certified.proof is None else arrays_of(certified.proof)
        arrays |= {f"{len(records)}.{name}": values for name, values in parts.items()}
        records.append(_example_record(certified) | _proof_record(certified))
        images.append(np.asarray(certified.image, np.float32))
    arrays["images"] = np.stack(images) if images else np.zeros((0,), np.float32)
    header: dict[str, Any] = {
        "schema": checker_proofs.SCHEMA,
        "network_sha256": network_sha256,
        "threat": statement.threat,
        "epsilon": float(statement.eps),
        "domain": statement.domain.config(),
        "scale": statement.scale,
        "classes": classes,
        "certificates": records,
        "unchecked": unchecked,
    }
    header["sha256"] = checker_proofs.checksum(header, arrays)
    return {"header": np.array(json.dumps(header)), **arrays}


def _why_unchecked(certified: Certified, threat: str) -> str | None:
    if certified.why_unchecked is not None:
        return certified.why_unchecked
    if threat not in THREATS:
        return f"no support function of {threat} in the checker"
    if certified.proof is None and certified.rung not in RUNG_RULES:
        return f"no proof kept by {certified.rung}"
    return None


def _example_record(certified: Certified) -> dict[str, Any]:
    return {
        "index": int(certified.index),
        "label": int(certified.label),
        "rung": certified.rung,
    }


def _proof_record(certified: Certified) -> dict[str, Any]:
    if certified.proof is None:
        bounds, intermediate, slope = RUNG_RULES[certified.rung]
        return {"kind": "rule", "bounds": bounds, "intermediate": intermediate, "slope": slope}
    rule = certified.proof.rule
    return {
        "kind": "tree",
        "intermediate": rule["intermediate"],
        "slope": rule["slope"],
        "shared": bool(rule["shared"]),
        "rows": [int(j) for j in certified.proof.trees],
    }


def arrays_of(proof: Proof) -> Arrays:
    """A proof's units and, under each row's class, its tree, slopes and multipliers, as arrays."""
    arrays = {"units": np.asarray(proof.units, np.int32).reshape(-1, 2)}
    for j, tree in proof.trees.items():
        arrays |= {f"{j}.{name}": values for name, values in _tree(tree, proof).items()}
    return arrays


def _tree(tree: Tree, proof: Proof) -> Arrays:
    slopes = np.array([leaf.slopes for leaf in tree.leaves], np.float16)
    return {
        "tree": np.asarray(tree.nodes, np.int32).reshape(-1, 2),
        "slopes": slopes.reshape(len(tree.leaves), len(proof.units)),
        "multipliers": np.concatenate([leaf.multipliers for leaf in tree.leaves]).astype(
            np.float32
        ),
    }
