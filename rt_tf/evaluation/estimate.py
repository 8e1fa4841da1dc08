"""The estimate of the time that an evaluation by attacks takes at most, by its first examples."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf
from rich.table import Table

from rt_tf.catalogue.suites import Budget
from rt_tf.evaluation.preflight import first_task
from rt_tf.evaluation.subject import Subject
from rt_tf.exactly import radius_text
from rt_tf.progress import Progress
from rt_tf.reporting.formats import duration

MEASURED = 3  # calls
LONG = 0.5  # seconds after which no further call is measured
TRACING = 3.0  # seconds, once for an attack


class AttackPlan(NamedTuple):
    """A subject, a radius, and the attacks that are tried there."""

    subject: Subject
    eps: float
    budgets: list[Budget]


class Cost(NamedTuple):
    """Seconds that an example takes. step: of an attack; judging: of a restart's point."""

    step: float
    judging: float

    def of(self, budget: Budget, samples: int) -> float:
        """The seconds of a budget for so many examples, if none is broken early."""
        each = budget.passes * self.step + budget.restarts * self.judging
        return TRACING + samples * each


def announce(plans: Sequence[AttackPlan], samples: int, sources: int, progress: Progress) -> None:
    """Shows the attacks with their budgets, and the time they take if no example breaks early."""
    if not plans:
        return
    table = Table("attack", "threat", "eps", "steps", "restarts", "at most")
    costs: dict[str, Cost] = {}
    total = 0.0
    for plan in plans:
        threat, eps = plan.subject.threat.name, radius_text(plan.eps)
        if threat not in costs:
            costs[threat] = measured_cost(plan.subject, plan.eps)
        for budget in plan.budgets:
            seconds = costs[threat].of(budget, samples)
            total += seconds
            steps, restarts = f"{budget.steps:,}", str(budget.restarts)
            table.add_row(budget.attack, threat, eps, steps, restarts, duration(seconds))
    transfers = f", and PGD on {sources} other networks" if sources else ""
    table.caption = f"{samples:,} images; about {duration(total)} at most{transfers}"
    progress.say(table)


def measured_cost(subject: Subject, eps: float) -> Cost:
    """The cost of attacks at a radius, as measured on the first examples."""
    task = first_task(subject, eps)
    region, x = task.region, tf.Variable(task.region.x)

    @tf.function(autograph=False)
    def step() -> None:
        moved = region.step(x, task.evaluate(x).gradient, region.radius(), task.chance(0))
        x.assign(region.project(x + moved))

    @tf.function(autograph=False)
    def judging() -> tuple[tf.Tensor, ...]:
        return task.errs_at(x), region.inside(x), region.distance(x)

    return Cost(*(_seconds(run) / len(task.labels) for run in (step, judging)))


def _seconds(run: Callable[[], Any]) -> float:
    """The median seconds of a few calls, of fewer where they take long, after one that traces."""
    run()
    seconds: list[float] = []
    while len(seconds) < MEASURED and sum(seconds) < LONG:
        began = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)
