"""HiGHS: minima of linear programs and of mixed-integer ones, under a time limit."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import highspy
import numpy as np

from rt_tf.certification.solver.programs import Model

DONE = (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kInterrupt)


class ModelError(ValueError):
    """HiGHS does not take a model, for example one with numbers beyond its range."""


class Solved(NamedTuple):
    """HiGHS's result for a minimum.

    cause: why there is no answer (time, error), or None. bound: a lower bound of the minimum, by
    the solver's word. value, point: the best feasible point and its value, if there is any.
    row_duals, column_duals: of a linear program that was solved.
    """

    cause: str | None
    bound: float
    value: float
    point: np.ndarray | None
    row_duals: np.ndarray
    column_duals: np.ndarray


NOTHING = Solved("error", -np.inf, np.inf, None, np.zeros(0), np.zeros(0))


class Solver:
    """Minimises several objectives over one model.

    threads: of HiGHS. method: simplex, ipm or choose. ModelError for a model that HiGHS does not
    take. Every objective has a HiGHS of its own: one that was interrupted would go on being so.
    """

    def __init__(self, model: Model, threads: int = 1, method: str = "ipm") -> None:
        self.model, self.threads, self.method = model, threads, method
        if not np.isfinite(model.matrix.data).all():  # HiGHS itself checks sizes alone
            raise ModelError("expected a model of finite numbers; received others")
        self.program = _program(model)
        self.columns = np.arange(model.matrix.shape[1], dtype=np.int32)
        self._open()

    def linear(self, costs: np.ndarray, constant: float, seconds: float) -> Solved:
        """The minimum of costs . v + constant, without crossover, since no basis is needed.

        costs: [costs], of the first variables; the others cost nothing. seconds: the time limit.
        """
        if seconds <= 0.0:
            return NOTHING._replace(cause="time")
        self._pose(costs, constant)
        self._set(run_crossover="off", time_limit=seconds)
        cause = self._run()
        if cause is not None:
            return NOTHING._replace(cause=cause)
        solution, info = self.highs.getSolution(), self.highs.getInfo()
        value = info.objective_function_value
        duals = np.array(solution.row_dual), np.array(solution.col_dual)
        return Solved(None, value, value, np.array(solution.col_value), *duals)

    def integer(
        self,
        costs: np.ndarray,
        constant: float,
        seconds: float,
        start: np.ndarray | None = None,
        decided: tuple[float, float] = (-np.inf, np.inf),
    ) -> Solved:
        """The minimum of costs . v + constant, with the model's binaries.

        costs: [costs], of the first variables; the others cost nothing. seconds: the time limit.
        start: a feasible point, [variables]. decided: the search ends once there is a point not
        above the first number, or no point can be below the second.
        """
        if not self.model.binary.any():
            return self.linear(costs, constant, seconds)
        if seconds <= 0.0:
            return NOTHING._replace(cause="time")
        self._pose(costs, constant)
        self._set(time_limit=seconds)
        if start is not None:
            self.highs.setSolution(_solution(start))
        watch = _Watch(self.costs, constant, decided)
        self.highs.cbMipImprovingSolution += watch.improved
        self.highs.cbMipInterrupt += watch.interrupt
        cause = self._run()
        if cause == "error":
            return NOTHING
        info = self.highs.getInfo()
        if info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible:
            watch.look(np.array(self.highs.getSolution().col_value))
        bound, value = info.mip_dual_bound, watch.value
        return NOTHING._replace(cause=cause, bound=bound, value=value, point=watch.point)

    def _open(self) -> None:
        self.highs = _silently(highspy.Highs)
        self.highs.resetGlobalScheduler(True)  # else the process's first number of threads stays
        options = {"threads": self.threads, "solver": self.method}
        self._set(output_flag=False, mip_rel_gap=0.0, **options)
        if self.highs.passModel(self.program) == highspy.HighsStatus.kError:
            raise ModelError("HiGHS refused the model")

    def _set(self, **options: Any) -> None:
        for name, value in options.items():
            if self.highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
                raise ValueError(f"HiGHS refused {name}={value}")

    def _pose(self, costs: np.ndarray, constant: float) -> None:
        """Opens a HiGHS with the model and the objective costs . v + constant."""
        self._open()
        self.costs = np.zeros(len(self.columns))
        self.costs[: len(costs)] = costs
        self.highs.changeColsCost(len(self.costs), self.columns, self.costs)
        self.highs.changeObjectiveOffset(constant)

    def _run(self) -> str | None:
        """Runs HiGHS; the cause, time or error, if there is no answer."""
        status, outcome = self.highs.run(), self.highs.getModelStatus()
        if outcome == highspy.HighsModelStatus.kTimeLimit:
            return "time"
        right = status != highspy.HighsStatus.kError and outcome in DONE
        return None if right else "error"


class _Watch:
    """Keeps the best point of a search, and interrupts the search when it is decided.

    After a start HiGHS reports the start's point with the value of a better one, so that the value
    is computed from the point.
    """

    def __init__(self, costs: np.ndarray, constant: float, decided: tuple[float, float]) -> None:
        self.costs, self.constant = costs, constant
        self.low, self.high = decided
        self.value = np.inf
        self.point: np.ndarray | None = None

    def look(self, point: np.ndarray) -> None:
        """Takes note of a feasible point."""
        value = float(self.costs @ point) + self.constant
        if value < self.value:
            self.value, self.point = value, point

    def improved(self, event: highspy.HighsCallbackEvent) -> None:
        self.look(np.array(event.data_out.mip_solution))

    def interrupt(self, event: highspy.HighsCallbackEvent) -> None:
        done = self.value <= self.low or event.data_out.mip_dual_bound >= self.high
        if done and event.data_in is not None:
            event.data_in.user_interrupt = True


def _silently(make: Callable[[], highspy.Highs]) -> highspy.Highs:
    """Makes a HiGHS, which always announces itself on the process's standard output."""
    sys.stdout.flush()
    stdout = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            return make()
        finally:
            os.dup2(stdout, 1)
            os.close(stdout)


def _program(model: Model) -> highspy.HighsLp:
    program = highspy.HighsLp()
    program.num_row_, program.num_col_ = model.matrix.shape
    program.col_cost_ = np.zeros(program.num_col_)
    program.col_lower_, program.col_upper_ = model.least, model.most
    program.row_lower_, program.row_upper_ = model.lower, model.upper
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = model.matrix.indptr
    program.a_matrix_.index_ = model.matrix.indices
    program.a_matrix_.value_ = model.matrix.data
    if model.binary.any():
        kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
        program.integrality_ = [kinds[int(one)] for one in model.binary]
    return program


def _solution(values: np.ndarray) -> highspy.HighsSolution:
    solution = highspy.HighsSolution()
    solution.col_value = values
    return solution
