"""Costs of training steps by intervals alone, with two savings and without.

    python -m benchmarks.normalised_steps [--rounds=25] [--batch=64] [--model=wong_small]

`folded`: batch normalisations are part of the kernels before them inside bounds and attacks, as
training does it (`ibp` has none). `bound only`: the point term, whose weight is 0, has no gradient,
as in runs with --kappa=1 --kappa_from=1. Steps take turns in one process; the losses of a system
must agree.
"""

import argparse
import functools
import itertools
import os
from collections.abc import Callable
from typing import Any, NamedTuple
from unittest import mock

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.step_cost import CLASSES, made_up
from benchmarks.timing import Job
from rt_tf import catalogue, models
from rt_tf.network.folding import folded
from rt_tf.threats.linf import Linf
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Attacked, Clean, PointTerm
from rt_tf.training.objectives.regularisers import WarmUp
from rt_tf.training.objectives.worst_case import WorstCase


class System(NamedTuple):
    """A point term, the share of the radius that is bounded, and whether layers are normalised."""

    point: Callable[[], PointTerm]
    ratio: float
    normalised: bool


SYSTEMS = {
    "ibp": System(Clean, 1.0, False),
    "shi": System(Clean, 1.0, True),
    "sabr, 8 steps": System(lambda: Attacked(catalogue.attack("pgd", {"steps": 8})), 0.4, True),
}


def step(model: str, system: str, bound_only: bool) -> Callable[..., Any]:
    """A training step of a system, which is compiled when it is first taken."""
    keras.utils.set_random_seed(0)
    point, ratio, normalised = SYSTEMS[system]
    bound = WorstCase(catalogue.resolve("bound", "interval"), ratio=ratio)
    penalties = [WarmUp(0.5, 0.1)] if normalised else []
    objective = Objective(Linf(), point(), bound, penalties, bound_only=bound_only)
    network = models.build(model, (28, 28, 1), CLASSES, batch_norm=normalised, init="shi")
    robust = RobustModel(network)
    robust.compile(keras.optimizers.Adam(5e-4), objective, eps=0.05, kappa=1.0)
    return tf.function(robust.step, autograph=False)


class Kind(NamedTuple):
    """A kind of step. loss: of the first one taken."""

    system: str
    folds: bool
    bound_only: bool
    job: Job
    loss: float


def measure(model: str, batch: int, rounds: int) -> list[Kind]:
    """Steps of all kinds, timed."""
    split = made_up(batch)
    images, labels = tf.constant(split.images()), tf.constant(split.labels)
    kinds = []
    for system, folds, alone in itertools.product(SYSTEMS, (False, True), (False, True)):
        if folds and not SYSTEMS[system].normalised:
            continue
        taken = step(model, system, alone)
        with mock.patch(
            "rt_tf.training.objectives.batch.folded", folded if folds else lambda graph: graph
        ):
            loss = float(taken(images, labels).loss)  # compiles it
        job = Job(functools.partial(_loss, taken, images, labels))
        kinds.append(Kind(system, folds, alone, job, loss))
    for _ in range(rounds):
        for kind in kinds:
            kind.job.turn()
    return kinds


def _loss(taken: Callable[..., Any], *batch: tf.Tensor) -> Any:
    return taken(*batch).loss.numpy()


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=25, help="steps of each kind")
    parser.add_argument("--batch", type=int, default=64, help="examples of a step")
    parser.add_argument("--model", default="wong_small", help="a network of the catalogue")
    arguments = parser.parse_args()
    table = Table("step", "folded", "bound only", "median ms", "of neither", "loss")
    for kind in (kinds := measure(arguments.model, arguments.batch, arguments.rounds)):
        neither = next(first for first in kinds if first.system == kind.system)
        marks = ["yes" if mark else "no" for mark in (kind.folds, kind.bound_only)]
        ratio = kind.job.median / neither.job.median
        figures = f"{1000 * kind.job.median:.1f}", f"{ratio:.2f}", f"{kind.loss:.5g}"
        table.add_row(kind.system, *marks, *figures)
    Console(highlight=False).print(table)


if __name__ == "__main__":
    main()
