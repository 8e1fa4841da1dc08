"""Checks of a subject before attacks: whether it can be attacked, and signs that may mislead."""

import numpy as np
import tensorflow as tf

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
from rt_tf.evaluation.recording import CHUNK
from rt_tf.evaluation.subject import Subject
from rt_tf.progress import Progress
from rt_tf.reporting.attacks import warnings as attack_warnings
from rt_tf.threats.region import Region


def warnings_of(subject: Subject, progress: Progress) -> list[str]:
    """Signs in the network that attacks may be weaker than they seem, a line each.

    They are shown, and stored for the report. UserError where the test split or the network cannot
    be attacked at all.
    """
    task = first_task(subject)
    x = task.region.x
    wiring = subject.wiring
    check_inputs(x.numpy(), task.labels.numpy(), wiring.classes, wiring.domain)
    check_network(task.network, x.numpy(), task.labels.numpy())
    serve = subject.served.serve
    warnings = [
        *randomised(lambda images: serve(images)["logits"], x),
        *probabilities(serve(x)["logits"]),
        *vanishing_gradients(task, x),
        *inner_work(serve.get_concrete_function(tf.TensorSpec([None, *x.shape[1:]], x.dtype))),
    ]
    attack_warnings.keep(subject.records, subject.checksum, warnings)
    for line in warnings:
        progress.say(f"warning: {line}")
    return warnings


def first_task(subject: Subject, eps: float = 0.1) -> Task:
    """The task of an attack on the first examples, with fixed random numbers."""
    places = np.array(subject.first(CHUNK))
    images, labels = subject.test.images(places), tf.constant(subject.test.labels[places])
    region = Region(subject.threat, tf.constant(images), eps, subject.wiring.domain)
    return subject.task(region, labels, noise.keys(tf.constant([0]), labels))
