"""The cost of attacks, as ratios within one run.

    python -m benchmarks.attacks --model_dir=<a run on MNIST> [--rounds=15] [--json=FILE]

MNIST small, float32. Attacks on a training batch are compared with as many forward and backward
passes to the input, or with PGD at equal steps; an evaluation by PGD-40 of the first 1,000 test
images of the run, at its radius, with as many passes too, with Foolbox's on the Keras network, and
with a time of CleverHans' on a machine of the same kind. Jobs on batches of the same size take
turns in a process of their own, a run each a round; medians are compared.
"""

import argparse
import dataclasses
import functools
import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.step_cost import step
from benchmarks.timing import Job, surroundings
from pipelines.assembly.devices import prepare_tensorflow
from pipelines.assembly.inputs import load_data
from pipelines.console import one_line_errors
from pipelines.runs.directory import RunDirectory, trained_flags
from pipelines.runs.restoring import load_network
from rt_tf import catalogue
from rt_tf.attacks import noise, starts
from rt_tf.attacks.judging import AttackOutcome, attack_with_restarts
from rt_tf.attacks.task import Task
from rt_tf.network.graph import Graph
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Attacked

BATCH = 100
EVALUATED = 1000
EVALUATIONS = ("PGD-40 evaluation", "Foolbox")
CLEVERHANS = 1.8  # seconds for PGD-40 on 1,000 images
SINKHORN = 0.5  # seconds for a projection of 100 images


class Line(NamedTuple):
    """A job's time over that of another; of: the other; most: the largest ratio that is wanted."""

    job: str
    of: str
    ratio: float
    most: float | None = None


class Subject(NamedTuple):
    """A run's network and its first test images."""

    model: keras.Model
    graph: Graph
    images: tf.Tensor
    labels: tf.Tensor
    eps: float


def subject(directory: str) -> Subject:
    """The network and images of a run; UserError where there is no finished run."""
    flags = trained_flags(directory)
    test = load_data(flags).test
    images = tf.constant(test.images(slice(0, EVALUATED)))
    model = load_network(RunDirectory(directory))
    labels = tf.constant(test.labels[:EVALUATED])
    return Subject(model, trace(model).lower(), images, labels, flags.epsilon)


def task(subject: Subject, threat: str, eps: float, count: int) -> Task:
    """The task to attack the first few images."""
    region = Region(catalogue.threat(threat), subject.images[:count], eps)
    labels = subject.labels[:count]
    return Task(subject.graph, region, labels, noise.keys(tf.constant([0, 2]), tf.range(count)))


def compiled(run: Callable[..., Any], *arguments: Any) -> Job:
    """The job of a function that is compiled, and traced before it is timed."""
    graph = tf.function(lambda: run(*arguments), autograph=False)
    return Job(lambda: numbers(graph()))


def numbers(tensors: Any) -> Any:
    """Tensors as NumPy's arrays, so that they are computed."""
    return tf.nest.map_structure(lambda tensor: tensor.numpy(), tensors)


def passes(task: Task, count: int) -> tf.Tensor:
    """The result of `count` forward and backward passes to the input, one after another."""

    def again(i: tf.Tensor, x: tf.Tensor) -> list[tf.Tensor]:
        return [i + 1, x + 0.0 * task.evaluate(x).gradient]

    return tf.while_loop(lambda i, x: i < count, again, [tf.constant(0), task.region.x])[1]


def attacked(name: str, task: Task, **settings: Any) -> tf.Tensor:
    """The points of a training attack from a random start."""
    return catalogue.attack(name, settings)(task, starts.uniform(task))


def evaluated(task: Task, name: str, **settings: Any) -> AttackOutcome:
    """The result of an attack from a random start, whose points are judged."""
    return attack_with_restarts(task, catalogue.attack(name, settings), starts.uniform)


def on_a_batch(subject: Subject) -> dict[str, Job]:
    """The jobs that are timed on a training batch, by name."""
    ball, union = task(subject, "linf", 0.3, BATCH), task(subject, "union", 1.0, BATCH)
    earth = task(subject, "wasserstein", 0.5, BATCH)
    moved = earth.region.x + 0.1 * tf.sign(earth.evaluate(earth.region.x).gradient)
    train = step(Objective(Linf(), Attacked(catalogue.attack("pgd", {"steps": 10}))))
    batch = ball.region.x, ball.labels
    return {
        "11 passes": compiled(passes, ball, 11),
        "PGD-10 training step": Job(lambda: train(batch)["loss"].numpy()),
        "PGD-20": compiled(functools.partial(attacked, "pgd", ball, steps=20)),
        "MSD-20": compiled(functools.partial(attacked, "msd", union, steps=20)),
        "Sinkhorn": compiled(earth.region.inward().project, moved),
    }


def evaluations(subject: Subject) -> dict[str, Job]:
    """The jobs that are timed on all images, by name; Foolbox attacks the Keras network."""
    ours = task(subject, "linf", subject.eps, EVALUATED)
    theirs = dataclasses.replace(ours, network=subject.model)
    forty = {"steps": 40, "step_size": 1.0 / 30.0}
    stopping = functools.partial(evaluated, ours, "pgd", early_stop=True, **forty)
    return {
        "40 passes": compiled(passes, ours, 40),
        "PGD-40 evaluation": compiled(stopping),
        "Foolbox": Job(lambda: numbers(evaluated(theirs, "foolbox_pgd", **forty))),
    }


def measure(directory: str, rounds: int) -> dict[str, Any]:
    """All figures, as they are printed and written; each group runs in a process of its own."""
    seconds: dict[str, float] = {}
    success: dict[str, float] = {}
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for group in (on_a_batch, evaluations):
            medians, shares = pool.apply(timed, (group, directory, rounds))
            seconds |= medians
            success |= shares
    return {"seconds": seconds, "lines": lines(seconds), "success": success, **surroundings()}


def timed(
    group: Callable[[Subject], dict[str, Job]], directory: str, rounds: int
) -> tuple[dict[str, float], dict[str, float]]:
    """The median seconds of a group's jobs, and the success of its evaluations, by name."""
    prepare_tensorflow()
    jobs = group(subject(directory))
    for _ in range(rounds):
        for job in jobs.values():
            job.turn()
    success = {name: success_of(jobs[name]) for name in EVALUATIONS if name in jobs}
    return {name: job.median for name, job in jobs.items()}, success


def success_of(job: Job) -> float:
    """The share of images on which an evaluation finds the network to err."""
    return float(job.run().success.mean())


def lines(seconds: dict[str, float]) -> list[Line]:
    """The comparisons of jobs with others, from the jobs' seconds."""
    training, evaluation = "PGD-10 training step", EVALUATIONS[0]

    def line(job: str, of: str, peer: float, most: float | None = None) -> Line:
        return Line(job, of, seconds[job] / peer, most)

    return [
        line(training, "11 passes to the input", seconds["11 passes"], 1.15),
        line("MSD-20", "PGD-20", seconds["PGD-20"], 3.2),
        line("Sinkhorn", f"{SINKHORN} s for {BATCH} images, 5x5 plans", SINKHORN, 1.0),
        line(evaluation, "40 passes to the input", seconds["40 passes"]),
        line(evaluation, "Foolbox's", seconds["Foolbox"], 1.0 / 3.0),
        line(evaluation, f"CleverHans' {CLEVERHANS} s", CLEVERHANS, 0.5),
    ]


def show(figures: dict[str, Any]) -> None:
    """Prints the table."""
    table = Table("job", "seconds", "compared with", "ratio", "asked: at most")
    for line in figures["lines"]:
        most = "" if line.most is None else f"{line.most:.2f}"
        took = f"{figures['seconds'][line.job]:.4f}"
        table.add_row(line.job, took, line.of, f"{line.ratio:.2f}", most)
    console = Console(highlight=False)
    console.print(table)
    for name, share in figures["success"].items():
        console.print(f"{name}: the network errs on {100 * share:.1f} % of {EVALUATED:,} images")


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model_dir", required=True, help="a finished run on MNIST, wong_small")
    parser.add_argument("--rounds", type=int, default=15, help="runs of each job")
    parser.add_argument("--json", help="file to write the figures to")
    arguments = parser.parse_args()
    with one_line_errors():
        figures = measure(arguments.model_dir, arguments.rounds)
    show(figures)
    if arguments.json:
        written = {**figures, "lines": [line._asdict() for line in figures["lines"]]}
        Path(arguments.json).write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
