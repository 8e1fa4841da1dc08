"""A search, by projected gradients, for inputs of boxes whose outputs break a property."""

import functools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.interchange.property import Clause, distinct
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.box import between

STEPS = 100
TRIALS = 200  # that run at once, shared by the clauses
LARGEST_STEP = 0.5  # of half the box, in the first step; the last is this times LEAST
LEAST = 0.01


class Counterexample(NamedTuple):
    """An input within a property's ends, in exact numbers, and the network's outputs for it."""

    point: tuple[Fraction, ...]
    outputs: np.ndarray


class Goal(NamedTuple):
    """A clause for a trial to break, and the number of the box that the trial starts in."""

    box: int
    clause: Clause


class Slack(NamedTuple):
    """The gap between outputs and each trial's clause.

    rows: [rows, outputs]; offsets: [trials, rows], infinite for rows of other trials' clauses.
    """

    rows: Tensor
    offsets: Tensor

    def of(self, outputs: Tensor) -> Tensor:
        """The largest excess over a row's offset, [trials]: <= 0 where the clause is broken."""
        excess = tf.matmul(outputs, self.rows, transpose_b=True) - self.offsets
        return tf.reduce_max(excess, axis=1)


def candidates(
    graph: Graph,
    ends: tuple[np.ndarray, np.ndarray],
    goals: Sequence[Goal],
    seed: int,
    left: Callable[[], float],
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (box, input), at most one a step, for inputs that break a clause in float32.

    ends: lower and upper ends of the boxes, each [boxes, ...]. seed: of the starts. left: the
    seconds that are left. Every goal has trials of its own: the centre first, then random points.
    Goals that are too many to be tried together take turns, in half of the time that is left. Ends
    when time is over.
    """
    random = np.random.default_rng(seed)
    rate = tf.function(functools.partial(_step, graph), reduce_retracing=True)
    start, count = left(), min(TRIALS, len(goals))
    for k in range(0, len(goals), count):
        if k > 0 and left() <= 0.5 * start:
            return
        some = goals[k : k + count]
        trials = np.resize(np.arange(len(some)), TRIALS // count * count).tolist()
        boxes = np.array([some[i].box for i in trials])
        noise = random.random((len(trials), *ends[0].shape[1:]), np.float32)
        noise[: len(some)] = 0.5
        bounds = [tf.constant(end[boxes]) for end in ends]
        step = functools.partial(rate, *bounds, *_slack([goal.clause for goal in some], trials))
        broken = _descended(step, between(*bounds).start(tf.constant(noise)), left)
        yield from ((int(boxes[i]), x) for i, x in broken)


def _descended(
    step: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], x: Tensor, left: Callable[[], float]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yields (trial, its input) where a trial breaks its clause, at most one a step."""
    for i in range(STEPS):
        excess, moved = step(x, tf.constant(_size(i)))
        best = int(np.argmin(excess))
        if excess[best] <= 0.0:
            yield best, x[best].numpy()
        if left() <= 0.0:
            return
        x = moved


def _step(
    graph: Graph, lower: Tensor, upper: Tensor, rows: Tensor, offsets: Tensor, *at: Tensor
) -> tuple[Tensor, Tensor]:
    """The slacks at x, [trials], and the points after a step of steepest descent.

    at: x, and the size of the step.
    """
    (x, size), region = at, between(lower, upper)
    with tf.GradientTape() as tape:
        tape.watch(x)
        excess = Slack(rows, offsets).of(graph(x))
    move = region.step(x, -tape.gradient(excess, x), size * region.radius(), tf.zeros([1]))
    return excess, region.project(x + move)


def _size(i: int) -> float:
    return LARGEST_STEP * LEAST ** (i / (STEPS - 1))


def _slack(clauses: Sequence[Clause], trials: list[int]) -> Slack:
    """The slack of trials; trials: the number of each one's clause."""
    rows = distinct(clauses)
    offsets = np.full((len(clauses), len(rows.matrix)), np.inf, np.float32)
    for row, places, clause in zip(offsets, rows.owners, clauses, strict=True):
        row[places] = [float(offset) for offset in clause.offsets]
    return Slack(tf.constant(rows.matrix), tf.constant(offsets[trials]))
