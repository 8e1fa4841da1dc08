"""Answering questions (a threat and a radius) about a finished run, example by example.

Records are appended chunk by chunk, so that a killed command goes on where it stopped.
"""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import flags
from rich.console import Console

from pipelines.console import progress
from pipelines.question_flags import bound_settings
from pipelines.run_directory import RunDirectory
from pipelines.verdict import Row, certificate
from rt_tf import catalogue, data
from rt_tf.attacks.evaluation import attack_with_restarts
from rt_tf.certify.ladder import Ladder
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.reporting import export
from rt_tf.reporting.records import RecordFile, question_name, read
from rt_tf.threats.region import Region, Threat

CHUNK = 100
Radii = Sequence[tuple[float, int]]  # (eps, first examples of the test split; 0: all)


class Subject(NamedTuple):
    """What is asked about: a run's network, as Keras model and as served, and its test split."""

    run: RunDirectory
    network: keras.Model
    served: Any
    test: data.Split
    threat: Threat
    checksum: str


def subject(run: RunDirectory, dataset: data.DataSet, threat: Threat) -> Subject:
    """Loads a run's network; UserError if it is not there yet or cannot be read."""
    network = load_network(run)
    checksum = export.network_checksum(network)
    if export.exported_checksum(run.export) != checksum:
        raise UserError(
            f"model_dir: expected {run.export} to hold this run's network; it does not; "
            f"python -m pipelines.export --model_dir={run.path} writes it"
        )
    served = export.load(run.export)
    return Subject(run, network, served, dataset.test, threat, checksum)


def load_network(run: RunDirectory) -> keras.Model:
    """The run's selected network."""
    try:
        return keras.models.load_model(run.network)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            f"model_dir: expected a readable network; {run.network} is not: {error}"
        ) from error


def certify(subject: Subject, radii: Radii, values: flags.FlagValues, screen: Console) -> None:
    """Certifies test examples at each radius, rung by rung.

    A radius that was certified before with further rungs keeps them: certificates do not get worse.
    """
    wiring, rungs, bounds = trace(subject.network), list(values.rungs), bound_settings(values)
    compiled = Ladder(wiring, subject.threat, rungs, bounds)
    for eps, samples in radii:
        known = _rungs_before(subject, eps)
        wanted = [*known, *(rung for rung in rungs if rung not in known)]
        ladder = compiled if wanted == rungs else Ladder(wiring, subject.threat, wanted, bounds)
        settings = {"rungs": wanted, "arithmetic": "sound", **_taken(wanted, bounds)}
        records = _records(subject, eps, "certify", "certify", settings)
        answer = functools.partial(_certificates, subject, ladder, eps)
        _answer(subject, records, samples, answer, f"certify eps {eps:.4g}", _is_certified, screen)


def _taken(rungs: list[str], bounds: dict[str, Any]) -> dict[str, Any]:
    """The settings that decide what the rungs find; memory does not."""
    options = {option for rung in rungs for option in catalogue.find("bound", rung).options}
    return {
        f"bound_{name}": bounds[name] for name in sorted(options - {"memory"}) if name in bounds
    }


def attack(subject: Subject, radii: Radii, values: flags.FlagValues, screen: Console) -> None:
    """Attacks test examples at each radius; keeps the points that the served network errs on."""
    settings = {
        "attack": values.eval_attack,
        "steps": 1 if values.eval_attack == "fgsm" else values.eval_steps,
        "restarts": values.eval_restarts,
        "step_size": values.eval_step_size,
        "seed": values.seed,
    }
    name = "{attack}-{steps}x{restarts}-a{step_size:g}-s{seed}".format(**settings)
    compiled = _compiled_attack(subject, settings)
    for eps, samples in radii:
        records = _records(subject, eps, "attack", name, settings)
        point = Attempt(name, compiled, eps, records.path.parent)
        answer = functools.partial(_attempts, subject, point)
        _answer(subject, records, samples, answer, f"{name} eps {eps:.4g}", _withstands, screen)


class Attempt(NamedTuple):
    """An attack at a radius: `compiled(images, labels, index, eps)` and where points are kept."""

    name: str
    compiled: Callable[..., Any]
    eps: float
    folder: Path


def _certificates(
    subject: Subject, ladder: Ladder, eps: float, rows: np.ndarray, examples: list[Row]
) -> list[Row]:
    findings = ladder.climb(subject.test.images(rows), subject.test.labels[rows], eps)
    return [certificate(e, f) for e, f in zip(examples, findings, strict=True)]


def _attempts(
    subject: Subject, attempt: Attempt, rows: np.ndarray, examples: list[Row]
) -> list[Row]:
    test, began = subject.test, time.perf_counter()
    eps = tf.constant(attempt.eps, tf.float64)
    x, inside = attempt.compiled(test.images(rows), test.labels[rows], test.index[rows], eps)
    predictions = _served_labels(subject, x)
    seconds = (time.perf_counter() - began) / len(rows)
    outcomes = zip(examples, x.numpy(), predictions, inside.numpy(), strict=True)
    return [_attacked(attempt, *outcome, seconds) for outcome in outcomes]


def _compiled_attack(subject: Subject, settings: Row) -> Callable[..., Any]:
    """images, labels, index, eps -> the first successful or the last points, inside or not."""
    wiring, method = trace(subject.network), catalogue.resolve("attack", settings["attack"])

    def attacked(
        images: tf.Tensor, labels: tf.Tensor, index: tf.Tensor, eps: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        region = Region(subject.threat, images, eps)
        found = attack_with_restarts(
            wiring.lower(),
            method,
            region,
            labels,
            index,
            seed=tf.constant([settings["seed"], 2], tf.int64),
            restarts=settings["restarts"],
            steps=settings["steps"],
            step_size=settings["step_size"],
        )
        return found.x, region.inside(found.x)

    return tf.function(attacked, autograph=False, reduce_retracing=True)


def _answer(
    subject: Subject,
    records: RecordFile,
    samples: int,
    answer: Callable[[np.ndarray, list[Row]], list[Row]],
    title: str,
    counts: Callable[[Row], bool],
    screen: Console,
) -> None:
    """Answers chunk by chunk what is not yet recorded."""
    if records.superseded:
        screen.print(f"{records.path} was of other settings: kept as {records.superseded.name}")
    total = min(samples or len(subject.test), len(subject.test))
    with progress(screen) as bar:
        task = bar.add_task(title, total=total, completed=len(records.done), status="")
        for rows in _open(total, records.done):
            rows_answered = answer(rows, _examples(subject, rows))
            records.append(rows_answered)
            share = 100.0 * np.mean([counts(row) for row in records.rows])
            bar.update(task, advance=len(rows), status=f"{share:.1f} %")


def _open(total: int, done: set[int]) -> Iterator[np.ndarray]:
    for begin in range(0, total, CHUNK):
        rows = [i for i in range(begin, min(begin + CHUNK, total)) if i not in done]
        if rows:
            yield np.array(rows)


def _rungs_before(subject: Subject, eps: float) -> list[str]:
    """The rungs of the certificates there are of this network at a radius."""
    path = subject.run.records / question_name(subject.threat.name, eps) / "certify.jsonl"
    header = read(path)[0] if path.exists() else {}
    if header.get("network_sha256") != subject.checksum:
        return []
    return header.get("settings", {}).get("rungs", [])


def _records(subject: Subject, eps: float, kind: str, name: str, settings: Row) -> RecordFile:
    folder = subject.run.records / question_name(subject.threat.name, eps)
    header = {
        "kind": kind,
        "id": name,
        "threat": subject.threat.name,
        "eps": eps,
        "split": subject.test.name,
        "network_sha256": subject.checksum,
        "settings": settings,
    }
    file = "certify.jsonl" if kind == "certify" else f"attack-{name}.jsonl"
    return RecordFile(folder / file, header)


def _examples(subject: Subject, rows: np.ndarray) -> list[Row]:
    """What every record says of its example; the prediction is the served network's."""
    predictions = _served_labels(subject, subject.test.images(rows))
    columns = zip(
        subject.test.index[rows].tolist(),
        subject.test.hashes(rows),
        subject.test.labels[rows].tolist(),
        predictions.tolist(),
        strict=True,
    )
    return [
        dict(zip(("index", "image", "label", "prediction"), row, strict=True)) for row in columns
    ]


def _served_labels(subject: Subject, images: Any) -> np.ndarray:
    return subject.served.serve(images)["label"].numpy()


def _attacked(
    attempt: Attempt, example: Row, x: np.ndarray, prediction: int, inside: bool, seconds: float
) -> Row:
    """The attack's outcome on one example, judged by the served network."""
    misclassified = example["prediction"] != example["label"]
    found = not misclassified and bool(inside) and prediction != example["label"]
    return {
        **example,
        "success": misclassified or found,
        "adversarial_prediction": int(prediction) if found else None,
        "file": _keep(attempt, example["index"], x) if found else None,
        "seconds": seconds,
    }


def _keep(attempt: Attempt, index: int, x: np.ndarray) -> str:
    file = f"adversarial/{index:05d}-{attempt.name}.npy"
    (attempt.folder / file).parent.mkdir(parents=True, exist_ok=True)
    np.save(attempt.folder / file, x)
    return file


def _is_certified(row: Row) -> bool:
    return row["verdict"] == "certified"


def _withstands(row: Row) -> bool:
    return not row["success"]
