"""The interval attack: steps along the slope of a symbolic bound around the current point.

The gradient at a point leads to the nearest local maximum of the loss; the slope of a bound that
holds in a neighbourhood shows where the loss tends to rise beyond it.
Source: Wang et al. 2018 (MixTrain), algorithm 1.
"""

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from rt_tf import numbers
from rt_tf.attacks.ascent import ascend, chosen, loop_until_done
from rt_tf.attacks.best_point import each
from rt_tf.attacks.gradient.pgd import pgd
from rt_tf.attacks.task import Evaluation, Task
from rt_tf.bounds.backward import Walk, walk_back
from rt_tf.bounds.intermediate import head_enclosure
from rt_tf.bounds.result import margin_spec
from rt_tf.errors import UserError
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.norms import by_example

GROWTH = 3.0  # from one radius to the next
LARGEST = 0.5


class Trend(NamedTuple):
    """The least radius around a point, in units of eps, at which no bound excludes a violation.

    radius: [batch]; 0 where even the largest excludes it. gradient: [batch, ...], of the margin
    most violated there, which is a linear function's slope; 0 likewise.
    """

    radius: Tensor
    gradient: Tensor


def interval_attack(
    task: Task,
    start: Tensor,
    steps: int,
    step_size: float = 0.0,
    pgd_steps: int = 10,
    first: float = 0.3,
) -> Tensor:
    """PGD, and then `steps` times a step along the trend and PGD from there: [batch, ...].

    An example stays where the network errs. step_size: of PGD, in units of eps; 0 for 2.5 /
    pgd_steps. first: the smallest radius, in units of eps (the paper's: .01 of .3; larger ones
    were better at equal time). UserError unless the task's network is a `Graph`.
    """
    _graph(task)  # or none of the work is begun
    task = task.inward()

    def climb(at: Task, x: Tensor) -> Tensor:
        return pgd(at, x, pgd_steps, step_size, early_stop=True)

    def move(at: Task, i: Tensor, carried: list[Tensor], evaluation: Evaluation) -> list[Tensor]:
        at = at.restart(i)
        return [climb(at, followed(at, carried[0], trend(at, carried[0], first)))]

    return ascend(task, [climb(task, start)], steps, move, early_stop=True)


def followed(task: Task, x: Tensor, ahead: Trend) -> Tensor:
    """Points x after a step along a trend, of its radius, back in the region: each [batch, ...]."""
    region = task.region
    size = by_example(ahead.radius, x.shape.rank) * region.radius()
    return region.project(x + region.step(x, ahead.gradient, size, task.chance(0)))


def trend(task: Task, x: Tensor, first: float) -> Trend:
    """The trend around x [batch, ...], from radii from `first` on up to a suspicious one."""
    sizes = tf.constant(radii(first))

    def widen(at: Task, k: Tensor, carried: list[Tensor]) -> tuple[list[Tensor], Tensor]:
        x, radius, gradient = carried
        walk = _walk_around(at, x, sizes[k])
        margins, slopes = walk.minimum(), walk.coefficients[0]
        suspicious = tf.reduce_min(margins, axis=1) <= 0.0
        slopes = -tf.gather(slopes, tf.argmin(margins, axis=1), batch_dims=1)
        radius = tf.where(suspicious, sizes[k], radius)
        return [x, radius, chosen(suspicious, slopes, gradient)], suspicious

    carried = [x, each(x, 0.0), tf.zeros_like(x)]
    return Trend(*loop_until_done(task, carried, sizes.shape[0], widen)[1:])


def radii(first: float) -> list[float]:
    """The radii of trends, in units of eps: growing threefold from `first`, up to half of it."""
    sizes, radius = [], numbers.above_0("first", first)
    while radius < LARGEST:
        sizes.append(radius)
        radius *= GROWTH
    return [*sizes, LARGEST]


def _graph(task: Task) -> Graph:
    if isinstance(task.network, Graph):
        return task.network
    raise UserError(
        "interval attack: expected a network whose bounds can be read, "
        f"rt_tf.network.trace.trace(model).lower(); received a {type(task.network).__name__}"
    )


def _walk_around(task: Task, x: Tensor, size: Tensor) -> Walk:
    """The backward pass of the margins in a ball around x, of a radius in units of eps.

    Its lines are parallel: the lower faces of symbolic intervals (Wang et al. 2018, symbolic linear
    relaxation), and one slope holds for the whole ball. Hidden layers are bounded by intervals: by
    backward passes it took 40 times as long and had no more successes.
    """
    graph = _graph(task)
    region = dataclasses.replace(task.region, x=x, eps=size * tf.cast(task.region.eps, x.dtype))
    enclosure = head_enclosure(graph, region)
    classes = enclosure.shapes[graph.output][-1]
    return walk_back(graph, region, _spec(task, classes), enclosure, slope="parallel")


def _spec(task: Task, classes: int) -> Tensor:
    """The margins that an error makes negative: [batch, spec, classes]."""
    if task.targets is None:
        return margin_spec(task.labels, classes)
    rows = tf.one_hot(task.labels, classes) - tf.one_hot(task.targets, classes)
    return rows[:, tf.newaxis]
