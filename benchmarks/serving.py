"""The speed of a SavedModel: labels, certificates and certified radii a second.

    python -m benchmarks.serving --model_dir=RUN [--epsilon=0.1] [--rounds=3] [--json=FILE]

On the export of a finished run and its first test images, at the run's own radius unless another
is given. Every endpoint is timed at every batch size in turns, medians of one call; in brackets,
its time in calls of `serve` at the same batch size. The time of `radius` depends on the number of
images that intervals leave to CROWN-IBP, so the shares certified are printed too.
"""

import argparse
import functools
import json
import os
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.timing import Job, surroundings
from pipelines.assembly.inputs import load_data
from pipelines.console import flag
from pipelines.runs.directory import RunDirectory, trained_flags
from rt_tf.errors import UserError
from rt_tf.serving import saved_model

ENDPOINTS = ("serve", "certify_interval", "certify_crown_ibp", "certify", "radius")
BATCHES = (1, 32, 256)
TURN = 0.5  # seconds


class Subject(NamedTuple):
    """A SavedModel, images for it, and the radius."""

    served: Any
    images: np.ndarray
    epsilon: float


def subject(model_dir: str, epsilon: float | None) -> Subject:
    """The export of a run and its images; UserError without an export, or without certificates.

    epsilon: None for the run's own.
    """
    values = trained_flags(model_dir)
    run = RunDirectory(model_dir)
    if saved_model.exported_checksum(run.export) is None:
        raise UserError(f"model_dir: expected a run with an export; {run.export} is none")
    served = saved_model.load(run.export)
    if missing := [name for name in ENDPOINTS if not hasattr(served, name)]:
        raise UserError(
            f"model_dir: expected the endpoints {', '.join(ENDPOINTS)}; {run.export} lacks "
            f"{', '.join(missing)}; python -m pipelines.export {flag('model_dir', model_dir)} "
            "writes it"
        )
    images = load_data(values).test.images(slice(0, max(BATCHES)))
    return Subject(served, images, values.epsilon if epsilon is None else epsilon)


def call(subject: Subject, endpoint: str, batch: int) -> dict[str, np.ndarray]:
    """The outputs of an endpoint for the first images, by name."""
    images = tf.constant(subject.images[:batch])
    radius = [] if endpoint == "serve" else [tf.constant(subject.epsilon, tf.float32)]
    answer = getattr(subject.served, endpoint)(images, *radius)
    return {name: value.numpy() for name, value in answer.items()}


def measure(subject: Subject, rounds: int) -> list[dict[str, Any]]:
    """A row for every endpoint and batch size: images a second, and its time in calls of serve."""
    rows = []
    for batch in BATCHES:
        jobs = {name: Job(functools.partial(call, subject, name, batch)) for name in ENDPOINTS}
        for _ in range(rounds):
            for job in jobs.values():
                job.turn(TURN)
        for name, job in jobs.items():
            ratio = job.median / jobs["serve"].median
            rows.append(
                {"endpoint": name, "batch": batch, "rate": batch / job.median, "ratio": ratio}
            )
    return rows


def answers_of(subject: Subject) -> dict[str, float]:
    """The shares certified of the largest batch by endpoint, and the median radius."""
    answers = {name: call(subject, name, max(BATCHES)) for name in ENDPOINTS[1:]}
    shares = {name: float(answers[name]["certified"].mean()) for name in ENDPOINTS[1:-1]}
    return {**shares, "median radius": float(np.median(answers["radius"]["radius"]))}


def show(rows: list[dict[str, Any]], shares: dict[str, float], epsilon: float) -> None:
    """Prints the table."""
    table = Table("images a second", *(f"batch {batch}" for batch in BATCHES))
    for column in table.columns[1:]:
        column.justify = "right"
    for name in ENDPOINTS:
        of_endpoint = [row for row in rows if row["endpoint"] == name]
        table.add_row(name, *(f"{row['rate']:,.0f} ({row['ratio']:.1f})" for row in of_endpoint))
    console = Console(highlight=False)
    console.print(table)
    words = ", ".join(f"{name} {value:.4g}" for name, value in shares.items())
    console.print(f"at {epsilon:g}, shares certified of {max(BATCHES)}: {words}")


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model_dir", required=True, help="a finished run, exported")
    parser.add_argument("--epsilon", type=float, help="the radius; the run's own if not given")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each endpoint")
    parser.add_argument("--json", help="file to write the figures to")
    arguments = parser.parse_args()
    try:
        run = subject(arguments.model_dir, arguments.epsilon)
    except UserError as error:
        parser.error(str(error))
    rows, shares = measure(run, arguments.rounds), answers_of(run)
    show(rows, shares, run.epsilon)
    if arguments.json:
        figures = {"rows": rows, "found": shares, "epsilon": run.epsilon, **surroundings()}
        Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
