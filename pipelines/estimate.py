"""What is told before an evaluation begins: how long it takes at most, and what may mislead."""

import time

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from pipelines.attacking import Question
from pipelines.questions import CHUNK, Subject
from rt_tf.attacks import noise
from rt_tf.attacks.checks import check_inputs, check_network
from rt_tf.attacks.task import Task
from rt_tf.attacks.warnings import inner_work, probabilities, randomised, vanishing_gradients
from rt_tf.reporting.formats import duration
from rt_tf.threats.region import Region

MEASURED = 3
TRACING = 3.0  # seconds, once for an attack


def announce(questions: list[Question], samples: int, sources: int, screen: Console) -> None:
    """Prints the attacks with their budgets, and the time they take if no image falls early."""
    if not questions:
        return
    each = seconds_of_a_pass(questions[0].subject)
    table = Table("attack", "threat", "eps", "steps", "restarts", "at most")
    total = 0.0
    for question in questions:
        for budget in question.budgets:
            took = TRACING + budget.passes * samples * each
            total += took
            threat, eps = question.subject.threat.name, f"{question.eps:.4g}"
            steps, restarts = f"{budget.steps:,}", str(budget.restarts)
            table.add_row(budget.attack, threat, eps, steps, restarts, duration(took))
    transfers = f", and PGD on {sources} other networks" if sources else ""
    table.caption = f"{samples:,} images; about {duration(total)} at most{transfers}"
    screen.print(table)


def warned(subject: Subject) -> list[str]:
    """What about the network may make attacks tell less than they seem to; a line each.

    UserError where the test split or the network cannot be attacked at all.
    """
    asked = _sample(subject)
    x = asked.region.x
    check_inputs(x.numpy(), asked.labels.numpy(), subject.wiring.classes)
    check_network(asked.network, x.numpy(), asked.labels.numpy())
    serve = subject.served.serve
    return [
        *randomised(lambda images: serve(images)["logits"], x),
        *probabilities(serve(x)["logits"]),
        *vanishing_gradients(asked, x),
        *inner_work(serve.get_concrete_function(tf.TensorSpec([None, *x.shape[1:]], x.dtype))),
    ]


def seconds_of_a_pass(subject: Subject) -> float:
    """A forward and backward pass to the input, by example: the median of a few chunks."""
    asked = _sample(subject)

    @tf.function(autograph=False)
    def look(x: tf.Tensor) -> tf.Tensor:
        return asked.look(x).gradient

    look(asked.region.x)
    seconds = []
    for _ in range(MEASURED):
        began = time.perf_counter()
        look(asked.region.x).numpy()
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)[MEASURED // 2] / len(asked.labels)


def _sample(subject: Subject) -> Task:
    """The first examples, to be looked at."""
    rows = np.arange(min(CHUNK, len(subject.test)))
    images, labels = tf.constant(subject.test.images(rows)), tf.constant(subject.test.labels[rows])
    region = Region(subject.threat, images, 0.1)
    return Task(subject.wiring.lower(), region, labels, noise.keys(tf.constant([0]), labels))
