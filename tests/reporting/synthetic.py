"""A synthetic run directory: 60 images of 3 classes, whose every count is known by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from rt_tf.records.merge import RecordFile, question_name

Row = dict[str, Any]
N, CLASSES, SHAPE = 60, 3, (4, 4, 1)
NETWORK = "ab" * 32
MISCLASSIFIED, BROKEN, LOOSE = range(4), range(4, 10), range(10, 15)  # at eps 0.05; rest certified


def originals(indices) -> np.ndarray:
    """Images float32 [k, 4, 4, 1] in [0.2, 0.8], a function of the index alone."""
    images = [np.random.default_rng(int(i)).uniform(0.2, 0.8, SHAPE) for i in indices]
    return np.stack(images).astype(np.float32)


def header(kind: str, eps: float, name: str = "", **changes: Any) -> Row:
    return {
        "header": True,
        "kind": kind,
        "id": name or "certify",
        "threat": "linf",
        "eps": eps,
        "split": "test",
        "network_sha256": NETWORK,
        "settings": settings() if name else {"ladder": "interval,crown_ibp"},
        **changes,
    }


def settings(attack: str = "pgd", steps: int | None = 40, restarts: int = 2, **more: Any) -> Row:
    defaults = {"step_size": 0.0, "start": "uniform", "loss": "ce", "seed": 0}
    return {"attack": attack, "steps": steps, "restarts": restarts, **defaults, **more}


def example(index: int) -> Row:
    label = index % CLASSES
    prediction = (label + 1) % CLASSES if index in MISCLASSIFIED else label
    return {"index": index, "image": f"{index:016x}", "label": label, "prediction": prediction}


def certify_row(index: int, verdict: str, **changes: Any) -> Row:
    certified = verdict == "certified"
    margin = (0.01 if certified else -0.01) * (1 + index)
    rungs = {
        "interval": {"verdict": "unknown", "margin": margin - 1, "seconds": 0.001},
        "crown_ibp": {
            "verdict": "certified" if certified else "unknown",
            "margin": margin,
            "seconds": 0.003,
        },
    }
    cause = {"certified": None, "falsified": "misclassified", "unknown": "loose"}[verdict]
    return {
        **example(index),
        "verdict": verdict,
        "rung": "crown_ibp" if certified else None,
        "margin": margin,
        "rungs": {} if verdict == "falsified" else rungs,
        "cause": cause,
        "seconds": 0.004,
        **changes,
    }


def attack_row(index: int, success: bool, file: str | None, **changes: Any) -> Row:
    row = example(index)
    other = (row["label"] + 1) % CLASSES if file else None
    result = {"success": success, "adversarial_prediction": other, "file": file}
    return {**row, **result, "distance": 0.01 if file else None, "seconds": 0.01, **changes}


def write_attack(
    run_dir: Path,
    name: str,
    broken,
    attack: Row | None = None,
    threat: str = "linf",
    eps: float = 0.05,
    tried=range(N),
    distance: float | None = None,
) -> Path:
    """An attack's records alone; the stored counterexamples are empty files."""
    folder = run_dir / "records" / question_name(threat, eps)
    (folder / "adversarial").mkdir(parents=True, exist_ok=True)
    first = header("attack", eps, name, threat=threat, settings=attack or settings())
    files = {i: f"adversarial/{i:05d}-{name}.npy" for i in broken if i not in MISCLASSIFIED}
    for file in files.values():
        (folder / file).write_bytes(b"")
    sizes = dict.fromkeys(files, eps if distance is None else distance)
    RecordFile(folder / f"attack-{name}.jsonl", first).append(
        attack_row(i, i in files or i in MISCLASSIFIED, files.get(i), distance=sizes.get(i))
        for i in tried
    )
    return folder


def write_question(
    run_dir: Path, eps: float, broken=BROKEN, loose=LOOSE, tried: int = N, attacked: int = N
) -> Path:
    folder = run_dir / "records" / question_name("linf", eps)
    certify = RecordFile(folder / "certify.jsonl", header("certify", eps))
    attack = RecordFile(folder / "attack-pgd-40x2.jsonl", header("attack", eps, "pgd-40x2"))

    def verdict(index: int) -> str:
        unknown = index in broken or index in loose
        return "falsified" if index in MISCLASSIFIED else "unknown" if unknown else "certified"

    certify.append(certify_row(i, verdict(i)) for i in range(tried))
    (folder / "adversarial").mkdir()
    for i in broken:
        sign = np.where(np.random.default_rng(i + 1000).random(SHAPE) < 0.5, -1, 1)
        image = (originals([i])[0] + sign * 0.9 * eps).astype(np.float32)
        np.save(folder / f"adversarial/{i:05d}-pgd-40x2.npy", image)
    files = {i: f"adversarial/{i:05d}-pgd-40x2.npy" for i in broken}
    distances = dict.fromkeys(broken, 0.9 * eps)
    attack.append(
        attack_row(i, i in MISCLASSIFIED or i in broken, files.get(i), distance=distances.get(i))
        for i in range(attacked)
    )
    return folder


def write_run(run_dir: Path) -> Path:
    run = {
        "system": "digits/ibp",
        "seed": 7,
        "flags": {"threat": "linf", "epsilon": 0.05, "epochs": "20,30", "note": "<b>&"},
        "dataset": {
            "name": "digits",
            "version": "1.0.0",
            "classes": CLASSES,
            "shape": SHAPE,
            "pixel_max": 16,
            "test": {"size": 360, "checksum": "cd" * 32},
        },
        "model": {"name": "small", "parameters": 12345, "hidden_units": 678},
        "versions": {"tensorflow": "2.21.0", "rt_tf": "0.1.0"},
        "code": {"version": "0.1.0", "commit": "0123abc", "changed": True},
        "hardware": {"cpu": "Some CPU", "cores": 2, "memory_gib": 7.8, "accelerators": []},
        "seconds": {"train": 41.5, "certify": 1.2, "attack": 3.4},
        "cpu_seconds": {"train": 80.5},
        "network_sha256": NETWORK,
        "selected": {"epoch": 4, "step": 40, "by": "verified", "value": 0.75},
    }
    run_dir.mkdir(parents=True, exist_ok=True)
    (run_dir / "run.json").write_text(json.dumps(run))
    history = [json.dumps(_epoch(epoch)) for epoch in range(6)]
    (run_dir / "history.jsonl").write_text("\n".join(history) + '\n{"phase": 0, "epo')
    return run_dir


def _epoch(epoch: int) -> Row:
    monitored = {"clean": 0.8 + 0.03 * epoch, "attacked": 0.6 + 0.05 * epoch, "verified": None}
    return {
        "phase": int(epoch > 2),
        "epoch": epoch,
        "step": 10 * epoch,
        "seconds": 1.0,
        "loss": 2.0 / (1 + epoch),
        "point_loss": 1.0 / (1 + epoch),
        "bound_loss": None if epoch < 3 else 3.0 / (1 + epoch),
        "eps": 0.01 * epoch,
        "kappa": 0.1 * epoch,
        "learning_rate": 1e-3,
        "train": {**monitored, "verified": 0.1 * epoch},
        "validation": monitored,
    }


def write_three_radii(run_dir: Path) -> Path:
    write_run(run_dir)
    write_question(run_dir, 0.05)
    write_question(run_dir, 0.1, broken=range(4, 24), loose=range(24, 40))
    write_question(run_dir, 0.025, broken=range(4, 6), loose=range(6, 8), tried=40, attacked=30)
    return run_dir
