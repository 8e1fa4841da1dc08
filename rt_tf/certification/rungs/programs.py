"""Rungs of the ladder that ask HiGHS: the triangles' linear program, and programs with binaries.

Whatever rests on HiGHS's word is `trusted` in a finding: of the network in exact arithmetic, over
sound bounds of its layers; its answers count from SLACK on. What the dual of a linear program says
of the lower slopes makes a sound backward bound of our own, which needs nobody's word. Rungs are
made once for a network and keep the weights that it had then.
"""

import functools
import time
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from rt_tf.bounds.intermediate import MEMORY
from rt_tf.certification.rung import Finding, Query, Rung
from rt_tf.certification.solver.binaries import Choice, after_convolutions, every_unit, last_units
from rt_tf.certification.solver.dual_slopes import confirmed
from rt_tf.certification.solver.examples import Example, Reader
from rt_tf.certification.solver.solver import ModelError
from rt_tf.certification.solver.solver_answers import Answer, Search, by_triangles
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Threat

TIME_LIMIT = 30.0
BINARIES = 300  # P1, section 7

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
        _climb, reader, functools.partial(by_triangles, reader.graph, threads), time_limit
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
        return Search(choice, threads, reader, example, start, until).answer()

    return functools.partial(_climb, reader, answers, time_limit)


def _climb(reader: Reader, answers: Answers, time_limit: float, asked: Query) -> Iterator[Finding]:
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
    if not len(example.open_rows):
        own, proof = confirmed(reader.graph, example, {})
        return Finding(own, 0.0, point=before.point, proof=proof)
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
