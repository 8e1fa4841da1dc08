"""The bridge to Foolbox: its model and criterion, and the examples that it attacks."""

import dataclasses
import functools
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from rt_tf.attacks.preflight import refuse_features
from rt_tf.attacks.task import Task
from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example

# Foolbox imports GitPython for downloads, which are not used here; it refuses to load without git.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
import eagerpy
import foolbox
from foolbox import attacks as attacks  # for the attacks' own file

Move = Callable[[Task, Tensor], Tensor]  # some examples, where they start -> points [batch, ...]


def within(task: Task, start: Tensor, attack: Any) -> Tensor:
    """Points of a Foolbox attack within a radius: [batch, ...].

    Foolbox takes one radius for all examples: they are attacked radius by radius.
    """

    def climbed(eps: float, some: Task, begin: Tensor) -> Tensor:
        attack.get_random_start = lambda *_: eagerpy.astensor(begin)
        return some.region.project(run_foolbox(some, attack, eps)[0])

    def move(some: Task, begin: Tensor) -> Tensor:
        x, radii = some.region.x, tf.fill(tf.shape(begin)[:1], 1.0) * some.region.radius(1)
        for eps in np.unique(radii):
            rows = radii == eps
            points = moved(some, rows, begin, functools.partial(climbed, float(eps)))
            x = tf.where(by_example(rows, x.shape.rank), points, x)
        return x

    return attacked(task, start, move)


def smallest(task: Task, start: Tensor, attack: Any) -> Tensor:
    """Points of a Foolbox attack that seeks the nearest one, whatever the radius: [batch, ...].

    The image where there is none.
    """

    def move(some: Task, _: Tensor) -> Tensor:
        points, success = run_foolbox(some, attack)
        return tf.where(by_example(success, points.shape.rank), points, some.region.x)

    return attacked(task, start, move)


def attacked(task: Task, start: Tensor, move: Move) -> Tensor:
    """The images, those that the network is right on moved by `move`: [batch, ...].

    UserError in tf.function, where Foolbox cannot run, and for a domain without two finite
    ends.
    """
    if not tf.executing_eagerly():
        raise UserError("attack: expected one that runs in tf.function; received one of Foolbox's")
    refuse_features("attack by Foolbox", task.region)
    _refuse_ranges(task.region.domain)
    task = _compiled(task.inward())
    right = ~task.errs(task.logits(task.region.x))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="foolbox")  # of missing starts, of empty means
        return moved(task, right, start, move)


def _refuse_ranges(domain: Domain) -> None:
    if not domain.is_uniform:
        raise UserError(
            "attack by Foolbox: expected a domain of two finite numbers, the same for every "
            f"feature; received {domain}"
        )


def moved(task: Task, chosen: Tensor, start: Tensor, move: Move) -> Tensor:
    """The images, with those chosen moved: [batch, ...]. chosen: [batch] bool."""
    rows = tf.where(chosen)[:, 0]
    if not len(rows):
        return task.region.x
    points = move(task.take(rows), tf.gather(start, rows))
    return tf.tensor_scatter_nd_update(task.region.x, rows[:, None], points)


def run_foolbox(
    task: Task, attack: Any, eps: float | None = None, **options: Any
) -> tuple[Tensor, Tensor]:
    """Foolbox's points, and whether the network errs there: [batch, ...] and [batch] bool.

    Its random numbers come from TensorFlow's global generator, seeded from the first key.
    """
    region = task.region
    ends = (region.lower, region.upper)
    model = foolbox.models.TensorFlowModel(task.network, ends, device=region.x.device)
    if task.targets is None:
        criterion = foolbox.criteria.Misclassification(tf.cast(task.labels, tf.int64))
    else:
        criterion = foolbox.criteria.TargetedMisclassification(tf.cast(task.targets, tf.int64))
    tf.random.set_seed(int(task.keys[0]) % 2**31)
    _, points, success = attack(model, region.x, criterion, epsilons=eps, **options)
    points = tf.where(tf.math.is_finite(points), points, region.x)  # noise scaled to a radius of 0
    return tf.clip_by_value(points, *ends), success


def _compiled(task: Task) -> Task:
    """The task with its network compiled: a quarter quicker, as Foolbox calls it often."""
    signature = tf.TensorSpec([None, *task.region.x.shape[1:]], task.region.x.dtype)
    network = tf.function(lambda x: task.logits(x), input_signature=[signature], autograph=False)
    return dataclasses.replace(task, network=network)
