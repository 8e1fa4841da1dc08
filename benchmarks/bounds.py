"""The cost of the bound methods, against the best PyTorch code for each.

    python -m benchmarks.bounds [--model_dir=RUN] [--large] [--rounds=5] [--json=FILE]

The lines and the peers' figures are in `benchmarks/peers.py`. Ours are medians of one run, timed in
turns. `asked` is the factor by which ours are to be faster. `floor` is the share of our time that
the multiply-adds alone would take at the rate of a large matrix product here; full passes count
unstable units only. `natural` is the time of a training step in natural steps of the same batch.
With --model_dir the methods that skip stable units are timed on that run's network and MNIST test
images too, at eps .1.
"""

import argparse
import functools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks import arithmetic
from benchmarks.peers import CERTIFICATION, ROBUST, TRAINING, Line
from benchmarks.timing import Job, peak_mib, product_rate, surroundings
from pipelines.assembly.inputs import load_data
from pipelines.runs.directory import RunDirectory, trained_flags
from pipelines.runs.restoring import load_network
from rt_tf import catalogue, models
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.result import margin_spec
from rt_tf.errors import UserError
from rt_tf.network.trace import Wiring, trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Attacked, Clean
from rt_tf.training.objectives.worst_case import WorstCase

EPS = 0.1
CLASSES = 10
TURN = 0.2  # seconds
MODELS = {"small": "wong_small", "large": "wong_large"}


class Subject(NamedTuple):
    """A network and images for it."""

    model: keras.Model
    wiring: Wiring
    images: np.ndarray


def random_subject(network: str) -> Subject:
    """A randomly initialised network of MNIST's shape, and made-up images."""
    keras.utils.set_random_seed(0)
    model = models.build(MODELS[network], (28, 28, 1), CLASSES)
    images = np.random.default_rng(0).random((1000, 28, 28, 1), np.float32)
    return Subject(model, trace(model), images)


def run_subject(directory: str) -> Subject:
    """A finished run's network and its test images."""
    run = RunDirectory(directory)
    model = load_network(run)
    images = load_data(trained_flags(directory)).test.images()
    return Subject(model, trace(model), images[:1000])


def natural_step(subject: Subject, batch: int) -> Callable[[], Any]:
    """A training step without attack or bound."""
    return _step(subject, Objective(Linf()), batch)


def training_step(subject: Subject, line: Line) -> Callable[[], Any]:
    """A whole training step: point term, bound, gradients, Adam."""
    bound = catalogue.resolve("bound", line.method)
    pgd = functools.partial(catalogue.resolve("attack", "pgd"), steps=line.attack_steps)
    objective = Objective(
        Linf(),
        point=Attacked(pgd) if line.attack_steps else Clean(),
        bound=WorstCase(functools.partial(bound, **line.options), samples=line.samples),
    )
    return _step(subject, objective, line.batch)


def _step(subject: Subject, objective: Objective, batch: int) -> Callable[[], Any]:
    model = RobustModel(subject.model)
    model.compile(keras.optimizers.Adam(0.0), objective=objective)
    model.eps.assign(EPS)
    model.kappa.assign(0.5)
    step = tf.function(model.step, autograph=False)
    x = tf.constant(subject.images[:batch])
    labels = tf.argmax(subject.model(x), axis=-1)
    return lambda: step(x, labels).loss.numpy()


def certification(subject: Subject, line: Line, mode: str) -> Callable[[], Any]:
    """A function that computes the margins of a batch, compiled. mode: the arithmetic."""
    bound = catalogue.resolve("bound", line.method)

    @tf.function(autograph=False)
    def run(x: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        region = Region(Linf(), x, EPS)
        spec = margin_spec(labels, CLASSES)
        return bound(subject.wiring.lower(), region, spec, arithmetic=mode, **line.options).margins

    x = tf.constant(subject.images[: line.batch])
    labels = tf.argmax(subject.model(x), axis=-1)
    return lambda: run(x, labels).numpy()


class Needed(NamedTuple):
    """Multiply-adds for one image without gradients. clean: of its logits; bound: of the bound."""

    clean: float
    bound: float


def multiply_adds(subject: Subject, line: Line) -> Needed:
    """The multiply-adds of a network and of a line's method."""
    graph = subject.wiring.lower()
    x = tf.constant(subject.images[:2])
    region = Region(Linf(), x, EPS)
    spec = margin_spec(tf.argmax(subject.model(x), axis=-1), CLASSES)
    bounds = catalogue.resolve("bound", "interval" if line.network == "large" else "dual")(
        graph, region, spec
    )
    enclosure = Enclosure(bounds.boxes, {})
    clean = arithmetic.forward(graph, enclosure.shapes)
    rows = arithmetic.margins(graph, enclosure.shapes, CLASSES - 1)
    full = arithmetic.layers(graph, region, enclosure, 1 if line.method == "dual" else 2)
    needs = {
        "interval": 2.0 * clean,
        "crown_ibp": 2.0 * clean + rows,
        "crown_ibp_fused": 2.0 * clean + rows / (CLASSES - 1),
        "dual": 2.0 * clean + full + rows,
        "crown": 2.0 * clean + full + rows,
        "alpha_crown": 2.0 * clean + full + rows * (1 + 2 * line.options.get("steps", 0)),
    }
    if line.method == "cauchy":
        vectors = line.options["projections"]
        projected = arithmetic.projections(graph, enclosure.shapes, vectors)
        return Needed(clean, 3.0 * clean + rows + projected)
    return Needed(clean, needs[line.method])


def figures(
    line: Line, subject: Subject, rate: float, mode: str, job: Job, natural: Job | None
) -> dict[str, Any]:
    """One row of the table."""
    clean, bound = multiply_adds(subject, line)
    clean, needed = clean * line.batch, bound * (line.samples or line.batch)
    if natural is not None:
        needed = 3.0 * (needed + clean) + 2.0 * line.attack_steps * clean
    value = {
        "step": 1000.0 * job.median,
        "image": 1000.0 * job.median / line.batch,
        "second": line.batch / job.median,
    }[line.per]
    faster = None
    if line.peer is not None:
        faster = value / line.peer if natural is None else line.peer / value
    return {
        **{"network": line.network, "what": line.name, "per": line.per, "batch": line.batch},
        **{"arithmetic": mode, "value": value, "peer": line.peer, "faster": faster},
        **{"asked": line.factor, "natural": natural and job.median / natural.median},
        **{"of_floor": needed / rate / job.median},
    }


def timed(
    lines: list[Line], subject: Subject, rounds: int, rates: list[float]
) -> list[dict[str, Any]]:
    """The rows of some lines of one network, timed in turns, with matrix products (`rates`)."""
    jobs: list[tuple[Line, str, Job, Job | None]] = []
    naturals: dict[int, Job] = {}
    for line in lines:
        if line.per != "second":
            natural = naturals.get(line.batch) or Job(natural_step(subject, line.batch))
            naturals[line.batch] = natural
            jobs.append((line, "fast", Job(training_step(subject, line)), natural))
            continue
        for mode in ("fast", "sound"):
            jobs.append((line, mode, Job(certification(subject, line, mode)), None))
    for _ in range(rounds):
        rates.append(product_rate())
        for job in [*naturals.values(), *(job for _, _, job, _ in jobs)]:
            job.turn(TURN)
    return [
        figures(line, subject, max(rates), mode, job, natural) for line, mode, job, natural in jobs
    ]


def shares(subject: Subject) -> list[float]:
    """The share of unstable units before each activation, by exact dual bounds."""
    graph = subject.wiring.lower()
    x = tf.constant(subject.images[:100])
    spec = margin_spec(tf.argmax(subject.model(x), axis=-1), CLASSES)
    bounds = catalogue.resolve("bound", "dual")(graph, Region(Linf(), x, EPS), spec)
    enclosure = Enclosure(bounds.boxes, {})
    return [arithmetic.unstable_share(enclosure, i) for i in sorted(graph.preactivations())]


def measure(arguments: argparse.Namespace, run: Subject | None) -> dict[str, Any]:
    """All figures, as they are printed and written. run: a trained network to time as well."""
    rates: list[float] = []
    rows, unstable = [], {}
    for network in ["small", "large"] if arguments.large else ["small"]:
        subject = random_subject(network)
        lines = [line for line in TRAINING + CERTIFICATION if line.network == network]
        rows += timed(lines, subject, arguments.rounds, rates)
        if network == "small":
            unstable[network] = shares(subject)
    if run is not None:
        unstable["run"] = shares(run)
        rows += timed(ROBUST, run, arguments.rounds, rates)
    return {
        "rows": rows,
        "unstable": unstable,
        "product_rate": max(rates),
        "peak_mib": peak_mib(),
        **surroundings(),
    }


def show(figures: dict[str, Any]) -> None:
    """Prints the table."""
    table = Table(
        *("network", "what", "batch", "arithmetic", "ours", "natural"),
        *("peer", "faster", "asked", "floor"),
    )
    units = {"step": "ms/step", "image": "ms/image", "second": "/s"}
    for row in figures["rows"]:
        peer = "" if row["peer"] is None else f"{row['peer']:g}"
        faster = "" if row["faster"] is None else f"{row['faster']:.2f}"
        factor = f"{row['asked']:g}" if row["asked"] else ""
        ours = f"{row['value']:.4g} {units[row['per']]}"
        floor = f"{100 * row['of_floor']:.0f} %"
        natural = "" if row["natural"] is None else f"{row['natural']:.1f}"
        names = row["network"], row["what"], str(row["batch"]), row["arithmetic"]
        table.add_row(*names, ours, natural, peer, faster, factor, floor)
    console = Console(highlight=False, width=120)
    console.print(table)
    for network, layers in figures["unstable"].items():
        listed = ", ".join(f"{100 * share:.1f} %" for share in layers)
        console.print(f"unstable units of {network}, by layer: {listed}")
    console.print(
        f"matrix product: {figures['product_rate'] / 1e9:.0f} G multiply-adds/s; "
        f"largest memory: {figures['peak_mib']:,.0f} MiB"
    )


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model_dir", help="a finished run to time as well")
    parser.add_argument("--large", action="store_true", help="the large network too")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each line")
    parser.add_argument("--json", help="file to write the figures to")
    arguments = parser.parse_args()
    try:
        run = run_subject(arguments.model_dir) if arguments.model_dir else None
    except UserError as error:
        parser.error(str(error))
    figures = measure(arguments, run)
    show(figures)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
