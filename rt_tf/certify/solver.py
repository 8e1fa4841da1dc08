"""HiGHS: minima of linear programs and of mixed-integer ones, under a time limit."""

from typing import Any, NamedTuple

import highspy
import numpy as np

from rt_tf.certify.programs import Model

SOLVED = highspy.HighsModelStatus.kOptimal
STOPPED = (highspy.HighsModelStatus.kInterrupt, highspy.HighsModelStatus.kObjectiveTarget)


class Solved(NamedTuple):
    """cause: None, or why there is no answer, time or error. Of a minimum, in any case:

    bound: what it is not below, by the solver's word. value, point: the best point found, if any.
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
    """One model, asked about several objectives. threads: of HiGHS. method: simplex or ipm."""

    def __init__(self, model: Model, threads: int = 1, method: str = "ipm") -> None:
        self.model = model
        self.highs = highspy.Highs()
        self._set(output_flag=False, threads=threads, solver=method, mip_rel_gap=0.0)
        self.columns = np.arange(model.matrix.shape[1], dtype=np.int32)
        if self.highs.passModel(_program(model)) == highspy.HighsStatus.kError:
            raise ValueError("HiGHS refused the model")

    def linear(self, costs: np.ndarray, constant: float, seconds: float) -> Solved:
        """The least costs . v + constant, without crossover: no basis is needed."""
        if seconds <= 0.0:
            return NOTHING._replace(cause="time")
        self._set(run_crossover="off", time_limit=seconds)
        self._ask(costs, constant)
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
        """The same with binaries. start: a feasible point.

        decided: it ends once there is a point not above the first number, or no point can be below
        the second.
        """
        if not self.model.binary.any():
            return self.linear(costs, constant, seconds)
        if seconds <= 0.0:
            return NOTHING._replace(cause="time")
        self._set(time_limit=seconds, objective_target=decided[0])
        self._ask(costs, constant)
        if start is not None:
            self.highs.setSolution(_solution(start))
        cause = self._run(enough=decided[1])
        solution, info = self.highs.getSolution(), self.highs.getInfo()
        found = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        return NOTHING._replace(
            cause=cause,
            bound=info.mip_dual_bound if cause != "error" else -np.inf,
            value=info.objective_function_value if found else np.inf,
            point=np.array(solution.col_value) if found else None,
        )

    def _set(self, **options: Any) -> None:
        for name, value in options.items():
            if self.highs.setOptionValue(name, value) != highspy.HighsStatus.kOk:
                raise ValueError(f"HiGHS refused {name}={value}")

    def _ask(self, costs: np.ndarray, constant: float) -> None:
        every = np.zeros(len(self.columns))
        every[: len(costs)] = costs
        self.highs.changeColsCost(len(every), self.columns, every)
        self.highs.changeObjectiveOffset(constant)

    def _run(self, enough: float = np.inf) -> str | None:
        """Runs until there is an answer, and says what kept it from one. enough: of the bound."""

        def decided(event: highspy.HighsCallbackEvent) -> None:
            if event.data_in is not None and event.data_out.mip_dual_bound >= enough:
                event.data_in.user_interrupt = True

        self.highs.cbMipInterrupt += decided
        status = self.highs.run()
        self.highs.cbMipInterrupt -= decided
        outcome = self.highs.getModelStatus()
        if outcome == highspy.HighsModelStatus.kTimeLimit:
            return "time"
        right = status != highspy.HighsStatus.kError and outcome in (SOLVED, *STOPPED)
        return None if right else "error"


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
