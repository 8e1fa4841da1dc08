"""Rungs of the ladder that ask HiGHS: the triangles' linear program, and programs with binaries.

Whatever rests on HiGHS's word is `trusted` in a finding: of the network in exact arithmetic, over
sound bounds of its layers; answers count from SLACK on. What the dual of a linear program says of
the lower slopes makes a sound backward bound of our own, which needs nobody's word. Rungs are made
once for a network and keep the weights that it had then.
"""

import functools
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.bounds.full import MEMORY
from rt_tf.certify.binaries import Choice, after_convolutions, every_unit, last_units
from rt_tf.certify.dual_slopes import confirmed, shares
from rt_tf.certify.examples import Example, Reader
from rt_tf.certify.proof import Proof
from rt_tf.certify.rung import Asked, Finding, Rung
from rt_tf.certify.solver import ModelError, Solved, Solver
from rt_tf.network.graph import Graph
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Threat

SLACK = 1e-4  # of a logit: above HiGHS's tolerances (1e-6) and float32's rounding
TIME_LIMIT = 30.0
BINARIES = 300  # P1, section 7


class Answer(NamedTuple):
    """What was found of one example; met: inputs worth a look, flat."""

    margin: float
    met: list[np.ndarray]
    cause: str | None = None
    trusted: bool = False
    proof: Proof | None = None


Answers = Callable[[Example, np.ndarray | None, float], Answer]  # from a point, until a time


def lp(
    wiring: Wiring,
    threat: Threat,
    time_limit: float = TIME_LIMIT,
    memory: float = MEMORY,
    threads: int = 1,
) -> Rung:
    """The triangles' linear program (Ehlers 2017; P2, eq. 3.5), over CROWN's bounds of every layer.

    time_limit: seconds for each example. memory: MiB of coefficients. threads: of HiGHS.
    """
    reader = Reader(wiring, threat, "lp", memory)
    return functools.partial(
        _climb, reader, functools.partial(_linear, reader.graph, threads), time_limit
    )


def milp_last(
    wiring: Wiring,
    threat: Threat,
    time_limit: float = TIME_LIMIT,
    memory: float = MEMORY,
    threads: int = 1,
) -> Rung:
    """The same with binaries for the last hidden layer, so that its ReLUs are exact (P1)."""
    reader = Reader(wiring, threat, "milp_last", memory)
    return _with_binaries(reader, last_units(reader.graph), time_limit, threads)


def milp_conv(
    wiring: Wiring,
    threat: Threat,
    time_limit: float = TIME_LIMIT,
    memory: float = MEMORY,
    threads: int = 1,
    binaries: int = BINARIES,
) -> Rung:
    """Binaries for the ReLU after the last convolution, at most so many: the largest triangles."""
    reader = Reader(wiring, threat, "milp_conv", memory)
    return _with_binaries(reader, after_convolutions(reader.graph, binaries), time_limit, threads)


def milp(
    wiring: Wiring,
    threat: Threat,
    time_limit: float = TIME_LIMIT,
    memory: float = MEMORY,
    threads: int = 1,
) -> Rung:
    """Binaries for every unstable unit: the network itself (Tjeng et al. 2019)."""
    reader = Reader(wiring, threat, "milp", memory)
    return _with_binaries(reader, every_unit, time_limit, threads)


def _with_binaries(reader: Reader, choice: Choice, time_limit: float, threads: int) -> Rung:
    def answers(example: Example, start: np.ndarray | None, until: float) -> Answer:
        return _Search(choice, threads, reader, example, start, until).answer()

    return functools.partial(_climb, reader, answers, time_limit)


def _climb(reader: Reader, answers: Answers, time_limit: float, asked: Asked) -> Iterator[Finding]:
    reader.prepare()
    for image, label, point in zip(asked.images, asked.labels, asked.points, strict=True):
        began = time.perf_counter()
        found = _found(reader, answers, began + time_limit, (image, int(label), asked.eps), point)
        yield found._replace(seconds=time.perf_counter() - began)


def _found(
    reader: Reader,
    answers: Answers,
    until: float,
    question: tuple[np.ndarray, int, float],
    point: np.ndarray | None,
) -> Finding:
    """A finding without its time."""
    if reader.too_large:
        return Finding(-np.inf, 0.0, "memory")
    try:
        example = reader.read(*question)
    except (tf.errors.ResourceExhaustedError, MemoryError):
        return Finding(-np.inf, 0.0, "memory")
    if not np.isfinite(example.margins).all():  # nor are the bounds that a program is made of
        return Finding(-np.inf, 0.0, "error")
    known = [] if point is None else [point]
    before = reader.worst(example, known)
    if before.errs:
        return Finding(before.margin, 0.0, point=before.point, falsified=True)
    try:
        answer = answers(example, point, until)
    except ModelError:
        return Finding(-np.inf, 0.0, "error")
    after = reader.worst(example, [*known, *answer.met])
    if after.errs:
        return Finding(after.margin, 0.0, point=after.point, falsified=True)
    return Finding(
        answer.margin,
        0.0,
        answer.cause,
        trusted=answer.trusted,
        point=after.point,
        proof=answer.proof,
    )


def _linear(
    graph: Graph, threads: int, example: Example, start: np.ndarray | None, until: float
) -> Answer:
    """By the triangles; `start` is of no use to an interior point."""
    margins, program = example.margins.astype(np.float64), example.program
    slopes: dict[int, np.ndarray] = {}
    met: list[np.ndarray] = []
    solver = Solver(program.model(), threads)
    for k in example.open_rows:
        solved = solver.linear(*program.objective(example.row(k)), until - time.perf_counter())
        if solved.point is None:
            return Answer(-np.inf, met, solved.cause)
        met.append(solved.point[: len(program.inputs[0])])
        margins[k] = max(margins[k], solved.bound - SLACK)
        slopes[k] = shares(program, solved)
        if margins[k] <= 0.0:
            return Answer(float(margins.min()), met, trusted=True)
    own, proof = confirmed(graph, example, slopes)
    if own > 0.0:
        return Answer(own, met, proof=proof)
    return Answer(float(margins.min()), met, trusted=True)


class _Search:
    """One example by a program with the chosen binaries; every row by the triangles first.

    They take a small part of the time, prove many rows, and find points where to begin.
    """

    def __init__(
        self,
        choice: Choice,
        threads: int,
        reader: Reader,
        example: Example,
        start: np.ndarray | None,
        until: float,
    ) -> None:
        self.reader, self.example, self.until = reader, example, until
        self.program = example.program
        self.binary = choice(self.program)
        self.relaxed = Solver(self.program.model(), threads)
        self.exact = Solver(self.program.model(self.binary), threads, method="choose")
        point = example.region.x.numpy() if start is None else start
        self.met = [np.clip(point.astype(np.float64).ravel(), *self.program.inputs)]

    def answer(self) -> Answer:
        """The worst row first, up to one that is not proved."""
        margins = self.example.margins.astype(np.float64)
        for k in self.example.open_rows:
            solved = self._row(self.example.row(k))
            if solved.cause is not None:
                return Answer(-np.inf, self.met, solved.cause)
            margins[k] = max(margins[k], solved.bound - SLACK)
            if margins[k] <= 0.0:
                break
        return Answer(float(margins.min()), self.met, trusted=True)

    def _row(self, row: np.ndarray) -> Solved:
        """Until the sign of the row's minimum is known, or the network errs."""
        objective = self.program.objective(row)
        relaxed = self.relaxed.linear(*objective, self.until - time.perf_counter())
        self._meet(relaxed)
        if relaxed.cause is not None or relaxed.bound > SLACK or self._errs():
            return relaxed
        starts = [self.program.assignment(x, self.binary) for x in self.met]
        start = min(starts, key=lambda v: float(objective[0] @ v[: len(objective[0])]))
        left = self.until - time.perf_counter()
        solved = self.exact.integer(*objective, left, start, decided=(-SLACK, 2.0 * SLACK))
        self._meet(solved)
        return solved

    def _meet(self, solved: Solved) -> None:
        if solved.point is not None:
            self.met.append(solved.point[: len(self.program.inputs[0])])

    def _errs(self) -> bool:
        return self.reader.worst(self.example, self.met).errs
