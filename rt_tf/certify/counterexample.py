"""A search for inputs of a box whose outputs break a property, by projected gradients."""

import functools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.interchange.property import Clause, stacked
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

STEPS = 100
TRIALS = 200  # at once, shared by the clauses
LARGEST_STEP = 0.5  # of half the box, in the first step; the last is this times LEAST
LEAST = 0.01


class Counterexample(NamedTuple):
    """An input within a property's ends, in exact numbers, and the network's outputs for it."""

    point: tuple[Fraction, ...]
    outputs: np.ndarray


class Slack(NamedTuple):
    """How far outputs are from breaking each trial's clause.

    rows: [rows, outputs]; offsets: [rows]; asked: [trials, rows], whether a row is of a trial's
    clause.
    """

    rows: Tensor
    offsets: Tensor
    asked: Tensor

    def of(self, outputs: Tensor) -> Tensor:
        """The largest excess over a row's offset, [trials]; not above zero where broken."""
        excess = tf.matmul(outputs, self.rows, transpose_b=True) - self.offsets
        return tf.reduce_max(tf.where(self.asked, excess, -float("inf")), axis=1)


def candidates(
    graph: Graph, region: Region, clauses: Sequence[Clause], seed: int, left: Callable[[], float]
) -> Iterator[np.ndarray]:
    """Inputs that break a clause as float32 has it, one a step; ends with the time that is left.

    region: the box, with a batch of one. Every clause has trials of its own: the centre first, then
    random points.
    """
    trials = max(1, TRIALS // len(clauses)) * len(clauses)
    slack = _slack(clauses, trials)
    step = tf.function(functools.partial(_step, graph, region, slack))
    noise = np.random.default_rng(seed).random((trials, *region.x.shape[1:]), np.float32)
    noise[: len(clauses)] = 0.5
    x = region.start(tf.constant(noise))
    for i in range(STEPS):
        excess, moved = step(x, tf.constant(_size(i)))
        best = int(np.argmin(excess))
        if excess[best] <= 0.0:
            yield x[best].numpy()
        if left() <= 0.0:
            return
        x = moved


def _step(
    graph: Graph, region: Region, slack: Slack, x: Tensor, size: Tensor
) -> tuple[Tensor, Tensor]:
    """The slacks at x, and the points after a step of steepest descent."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        excess = slack.of(graph(x))
    move = region.step(x, -tape.gradient(excess, x), size * region.radius(), tf.zeros([1]))
    return excess, region.project(x + move)


def _size(i: int) -> float:
    return LARGEST_STEP * LEAST ** (i / (STEPS - 1))


def _slack(clauses: Sequence[Clause], trials: int) -> Slack:
    rows = [len(clause.offsets) for clause in clauses]
    owners = np.repeat(np.arange(len(clauses)), rows)
    asked = owners == np.arange(trials)[:, np.newaxis] % len(clauses)
    offsets = [float(offset) for clause in clauses for offset in clause.offsets]
    return Slack(tf.constant(stacked(clauses)), tf.constant(offsets), tf.constant(asked))
