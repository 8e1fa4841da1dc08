"""What is told before an evaluation begins: how long it takes at most, and what may mislead."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from pipelines.runs.subject import CHUNK, LoadedRun
from pipelines.stages.attacking import AttackPlan
from rt_tf.attacks import noise
from rt_tf.attacks.preflight import (
    check_inputs,
    check_network,
    inner_work,
    probabilities,
    randomised,
    vanishing_gradients,
)
from rt_tf.attacks.task import Task
from rt_tf.catalogue.suites import Budget
from rt_tf.exactly import radius_text
from rt_tf.reporting import attack_warnings
from rt_tf.reporting.formats import duration
from rt_tf.threats.region import Region

MEASURED = 3  # calls
LONG = 0.5  # seconds after which no further call is measured
TRACING = 3.0  # seconds, once for an attack


class Cost(NamedTuple):
    """Seconds that an example takes: a step of an attack, and judging a point."""

    step: float
    judging: float

    def of(self, budget: Budget, samples: int) -> float:
        """Seconds for so many examples, if none falls early."""
        each = budget.passes * self.step + budget.restarts * self.judging
        return TRACING + samples * each


def announce(questions: list[AttackPlan], samples: int, sources: int, screen: Console) -> None:
    """Prints the attacks with their budgets, and the time they take if no image falls early."""
    if not questions:
        return
    table = Table("attack", "threat", "eps", "steps", "restarts", "at most")
    costs: dict[str, Cost] = {}
    total = 0.0
    for question in questions:
        threat, eps = question.subject.threat.name, radius_text(question.eps)
        if threat not in costs:
            costs[threat] = cost(question)
        for budget in question.budgets:
            took = costs[threat].of(budget, samples)
            total += took
            steps, restarts = f"{budget.steps:,}", str(budget.restarts)
            table.add_row(budget.attack, threat, eps, steps, restarts, duration(took))
    transfers = f", and PGD on {sources} other networks" if sources else ""
    table.caption = f"{samples:,} images; about {duration(total)} at most{transfers}"
    screen.print(table)


def warned(subject: LoadedRun, screen: Console) -> list[str]:
    """What about the network may make attacks tell less than they seem to; a line each.

    They are printed, and kept for the report. UserError where the test split or the network cannot
    be attacked at all.
    """
    asked = _sample(subject)
    x = asked.region.x
    wiring = subject.wiring
    check_inputs(x.numpy(), asked.labels.numpy(), wiring.classes, wiring.domain)
    check_network(asked.network, x.numpy(), asked.labels.numpy())
    serve = subject.served.serve
    found = [
        *randomised(lambda images: serve(images)["logits"], x),
        *probabilities(serve(x)["logits"]),
        *vanishing_gradients(asked, x),
        *inner_work(serve.get_concrete_function(tf.TensorSpec([None, *x.shape[1:]], x.dtype))),
    ]
    attack_warnings.keep(subject.run.records, subject.checksum, found)
    for line in found:
        screen.print(f"warning: {line}")
    return found


def cost(question: AttackPlan) -> Cost:
    """As measured on the first examples."""
    asked = _sample(question.subject, question.eps)
    region, x = asked.region, tf.Variable(asked.region.x)

    @tf.function(autograph=False)
    def step() -> None:
        moved = region.step(x, asked.evaluate(x).gradient, region.radius(), asked.chance(0))
        x.assign(region.project(x + moved))

    @tf.function(autograph=False)
    def judging() -> tuple[tf.Tensor, ...]:
        return asked.errs_at(x), region.inside(x), region.distance(x)

    return Cost(*(_seconds(run) / len(asked.labels) for run in (step, judging)))


def _seconds(run: Callable[[], Any]) -> float:
    """The median of a few calls; of fewer where they take long. The first one traces."""
    run()
    seconds: list[float] = []
    while len(seconds) < MEASURED and sum(seconds) < LONG:
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _sample(subject: LoadedRun, eps: float = 0.1) -> Task:
    """The first examples, to be looked at."""
    rows = np.arange(min(CHUNK, len(subject.test)))
    images, labels = tf.constant(subject.test.images(rows)), tf.constant(subject.test.labels[rows])
    region = Region(subject.threat, images, eps, subject.wiring.domain)
    return subject.task(region, labels, noise.keys(tf.constant([0]), labels))
