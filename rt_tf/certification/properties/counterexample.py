"""A search for inputs of boxes whose outputs break a property, by projected gradients."""

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
TRIALS = 200  # at once, shared by the clauses
LARGEST_STEP = 0.5  # of half the box, in the first step; the last is this times LEAST
LEAST = 0.01


class Counterexample(NamedTuple):
    """An input within a property's ends, in exact numbers, and the network's outputs for it."""

    point: tuple[Fraction, ...]
    outputs: np.ndarray


class Goal(NamedTuple):
    """A clause that a trial is to break, and the number of the box that it starts in."""

    box: int
    clause: Clause


class Slack(NamedTuple):
    """How far outputs are from breaking each trial's clause.

    rows: [rows, outputs]; offsets: [trials, rows], infinite for rows of others' clauses.
    """

    rows: Tensor
    offsets: Tensor

    def of(self, outputs: Tensor) -> Tensor:
        """The largest excess over a row's offset, [trials]; not above zero where broken."""
        excess = tf.matmul(outputs, self.rows, transpose_b=True) - self.offsets
        return tf.reduce_max(excess, axis=1)


def candidates(
    graph: Graph,
    ends: tuple[np.ndarray, np.ndarray],
    goals: Sequence[Goal],
    seed: int,
    left: Callable[[], float],
) -> Iterator[tuple[int, np.ndarray]]:
    """Inputs that break a clause as float32 has it, with the numbers of their boxes, one a step.

    ends: of the boxes, each [boxes, ...]. Every goal has trials of its own: the centre first, then
    random points. Goals that are too many for all to have one at once take turns, in half of the
    time that is left. Ends with that time.
    """
    random = np.random.default_rng(seed)
    rate = tf.function(functools.partial(_step, graph), reduce_retracing=True)
    start, count = left(), min(TRIALS, len(goals))
    for k in range(0, len(goals), count):
        if k > 0 and left() <= 0.5 * start:
            return
        own = goals[k : k + count]
        trials = np.resize(np.arange(len(own)), TRIALS // count * count).tolist()
        boxes = np.array([own[i].box for i in trials])
        noise = random.random((len(trials), *ends[0].shape[1:]), np.float32)
        noise[: len(own)] = 0.5
        bounds = [tf.constant(end[boxes]) for end in ends]
        step = functools.partial(rate, *bounds, *_slack([goal.clause for goal in own], trials))
        found = _descended(step, between(*bounds).start(tf.constant(noise)), left)
        yield from ((int(boxes[i]), x) for i, x in found)


def _descended(
    step: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]], x: Tensor, left: Callable[[], float]
) -> Iterator[tuple[int, np.ndarray]]:
    """The numbers of trials that break their clauses, with their inputs, one a step."""
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
    """The slacks at x, and the points after a step of steepest descent."""
    (x, size), region = at, between(lower, upper)
    with tf.GradientTape() as tape:
        tape.watch(x)
        excess = Slack(rows, offsets).of(graph(x))
    move = region.step(x, -tape.gradient(excess, x), size * region.radius(), tf.zeros([1]))
    return excess, region.project(x + move)


def _size(i: int) -> float:
    return LARGEST_STEP * LEAST ** (i / (STEPS - 1))


def _slack(clauses: Sequence[Clause], trials: list[int]) -> Slack:
    """trials: the number of the clause of each."""
    rows = distinct(clauses)
    offsets = np.full((len(clauses), len(rows.matrix)), np.inf, np.float32)
    for own, places, clause in zip(offsets, rows.owners, clauses, strict=True):
        own[places] = [float(offset) for offset in clause.offsets]
    return Slack(tf.constant(rows.matrix), tf.constant(offsets[trials]))
