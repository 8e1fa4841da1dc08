"""Rungs of the ladder that use HiGHS: the triangles' linear program, and programs with binaries.

Whatever rests on HiGHS's word is `trusted` in a finding. HiGHS's word is of the network in exact
arithmetic, over sound bounds of its layers, and its margins count only above SLACK. The dual of a
linear program gives slopes of lower lines, and with them a backward bound that is sound by itself
and certifies. A rung is made once for a network and keeps the weights that it had then.
"""

import functools
import time
from collections.abc import Callable, Iterator

import numpy as np

from rt_tf.bounds.intermediate import MEMORY
from rt_tf.certification.rung import OUT_OF_MEMORY, TIME_LIMIT, Finding, Query, Rung
from rt_tf.certification.solver.binaries import Choice, after_convolutions, every_unit, last_units
from rt_tf.certification.solver.dual_slopes import confirmed
from rt_tf.certification.solver.examples import Example, Reader
from rt_tf.certification.solver.solver import ModelError
from rt_tf.certification.solver.solver_answers import Answer, Search, by_triangles
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Threat

BINARIES = 300  # units of milp_conv

Answers = Callable[[Example, np.ndarray | None, float], Answer]  # start, deadline


def lp(
    wiring: Wiring,
    threat: Threat,
    time_limit: float = TIME_LIMIT,
    memory: float = MEMORY,
    threads: int = 1,
) -> Rung:
    """A rung of the triangles' linear program over CROWN's bounds of every layer.

    time_limit: seconds for each example. memory: MiB of coefficients. threads: of HiGHS. UserError
    for threats other than linf and activations other than ReLU and LeakyReLU.
    Source: Ehlers 2017; Wong 2020 (thesis), eq. 3.5.
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
    """A rung of the program with binaries for the last hidden layer, so that its ReLUs are exact.

    Its parameters and errors are those of `lp`.
    """
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
    """A rung of the program with binaries for the ReLU after the last convolution.

    binaries: how many units have one at most; those with the largest triangles. Other parameters
    and errors are those of `lp`; UserError also without an activation after a convolution.
    """
    reader = Reader(wiring, threat, "milp_conv", memory)
    return _with_binaries(reader, after_convolutions(reader.graph, binaries), time_limit, threads)


def milp(
    wiring: Wiring,
    threat: Threat,
    time_limit: float = TIME_LIMIT,
    memory: float = MEMORY,
    threads: int = 1,
) -> Rung:
    """A rung of the program with binaries for every unstable unit: the network itself.

    Its parameters and errors are those of `lp`. Source: Tjeng et al. 2019.
    """
    reader = Reader(wiring, threat, "milp", memory)
    return _with_binaries(reader, every_unit, time_limit, threads)


def _with_binaries(reader: Reader, choice: Choice, time_limit: float, threads: int) -> Rung:
    def answers(example: Example, start: np.ndarray | None, until: float) -> Answer:
        return Search(choice, threads, reader, example, start, until).answer()

    return functools.partial(_climb, reader, answers, time_limit)


def _climb(reader: Reader, answers: Answers, time_limit: float, query: Query) -> Iterator[Finding]:
    reader.prepare()
    for image, label, point in zip(query.images, query.labels, query.points, strict=True):
        began = time.perf_counter()
        finding = _finding(
            reader, answers, began + time_limit, (image, int(label), query.eps), point
        )
        yield finding._replace(seconds=time.perf_counter() - began)


def _finding(
    reader: Reader,
    answers: Answers,
    until: float,
    question: tuple[np.ndarray, int, float],
    point: np.ndarray | None,
) -> Finding:
    """The finding of one example, without its time. question: (image [...], label, eps)."""
    if reader.too_large:
        return Finding(-np.inf, 0.0, "memory")
    try:
        example = reader.read(*question)
    except OUT_OF_MEMORY:
        return Finding(-np.inf, 0.0, "memory")
    if not np.isfinite(example.margins).all():  # nor are the bounds that a program is made of
        return Finding(-np.inf, 0.0, "error")
    starts = [] if point is None else [point]
    before = reader.worst(example, starts)
    if before.errs:
        return Finding(before.margin, 0.0, point=before.point, falsified=True)
    if not len(example.open_rows):
        proved, proof = confirmed(reader.graph, example, {})
        return Finding(proved, 0.0, point=before.point, proof=proof)
    try:
        answer = answers(example, point, until)
    except ModelError:
        return Finding(-np.inf, 0.0, "error")
    after = reader.worst(example, [*starts, *answer.points])
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
