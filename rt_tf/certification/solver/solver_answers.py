"""HiGHS's answers for one example: by the triangles alone, or with binaries."""

import time
from typing import NamedTuple

import numpy as np

from rt_tf.certification.proof import Proof
from rt_tf.certification.solver.binaries import Choice
from rt_tf.certification.solver.dual_slopes import confirmed, dual_slopes
from rt_tf.certification.solver.examples import Example, Reader
from rt_tf.certification.solver.solver import Solved, Solver
from rt_tf.network.graph import Graph

SLACK = 1e-4  # of a logit: above HiGHS's tolerances (1e-6) and float32's usual rounding


class Answer(NamedTuple):
    """The solver's answer for one example; see `Finding` for its fields.

    points: inputs that may be counterexamples, flat.
    """

    margin: float
    points: list[np.ndarray]
    cause: str | None = None
    trusted: bool = False
    proof: Proof | None = None


def by_triangles(
    graph: Graph, threads: int, example: Example, start: np.ndarray | None, until: float
) -> Answer:
    """The answer by the triangles alone.

    start: an input, [inputs] or [...]; it is of no use to an interior-point method. until: the
    deadline, by `time.perf_counter`.
    """
    margins, program = example.margins.astype(np.float64), example.program
    slopes: dict[int, np.ndarray] = {}
    points: list[np.ndarray] = []
    solver = Solver(program.model(), threads)
    for k in example.open_rows:
        solved = solver.linear(*program.objective(example.row(k)), until - time.perf_counter())
        if solved.point is None:
            return Answer(-np.inf, points, solved.cause)
        points.append(solved.point[: len(program.inputs[0])])
        margins[k] = max(margins[k], solved.bound - SLACK)
        slopes[k] = dual_slopes(program, solved)
        if margins[k] <= 0.0:
            return Answer(float(margins.min()), points, trusted=True)
    proved, proof = confirmed(graph, example, slopes)
    if proved > 0.0:
        return Answer(proved, points, proof=proof)
    return Answer(float(margins.min()), points, trusted=True)


class Search:
    """The search for one example by a program with the chosen binaries.

    Every row is minimised by the triangles first: that takes a small part of the time, proves many
    rows, and yields points to start from.
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
        self.points = [np.clip(point.astype(np.float64).ravel(), *self.program.inputs)]

    def answer(self) -> Answer:
        """The answer of all rows, the worst first, up to one that is not proved."""
        margins = self.example.margins.astype(np.float64)
        for k in self.example.open_rows:
            solved = self._row(self.example.row(k))
            if solved.cause is not None:
                return Answer(-np.inf, self.points, solved.cause)
            margins[k] = max(margins[k], solved.bound - SLACK)
            if margins[k] <= 0.0:
                break
        return Answer(float(margins.min()), self.points, trusted=True)

    def _row(self, row: np.ndarray) -> Solved:
        """Minimises a row until the sign of its minimum is decided, or the network errs."""
        objective = self.program.objective(row)
        relaxed = self.relaxed.linear(*objective, self.until - time.perf_counter())
        self._keep_point(relaxed)
        if relaxed.cause is not None or relaxed.bound > SLACK or self._errs():
            return relaxed
        starts = [self.program.assignment(x, self.binary) for x in self.points]
        start = min(starts, key=lambda v: float(objective[0] @ v[: len(objective[0])]))
        left = self.until - time.perf_counter()
        solved = self.exact.integer(*objective, left, start, decided=(-SLACK, 2.0 * SLACK))
        self._keep_point(solved)
        return solved

    def _keep_point(self, solved: Solved) -> None:
        if solved.point is not None:
            self.points.append(solved.point[: len(self.program.inputs[0])])

    def _errs(self) -> bool:
        return self.reader.worst(self.example, self.points).errs
