"""A search by keras-tuner, in which each trial is a training run."""

import shutil
from collections.abc import Sequence
from typing import Any

import keras
import keras_tuner
import tensorflow as tf
from absl import flags
from keras_tuner.engine.base_tuner import BaseTuner
from rich.table import Table
from tensorboard.plugins.hparams import api as hparams

from pipelines.assembly import devices, inputs, monitoring, schedule
from pipelines.console import flag, terminal
from pipelines.flags.run import run_flags
from pipelines.flags.space import Space, as_flag
from pipelines.output import Terminal
from pipelines.progress import Count
from pipelines.runs.directory import RunDirectory
from pipelines.runs.interruption import deferred
from pipelines.stages import training
from rt_tf import data
from rt_tf.command_line import called
from rt_tf.errors import UserError
from rt_tf.files import write_text
from rt_tf.notes import read_notes, write_notes
from rt_tf.reporting.tensorboard import TensorBoard
from rt_tf.training.loop.state import TrainingState
from rt_tf.training.monitor import Monitor
from rt_tf.training.phases import Phase, Values

ORACLES = {
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "random": keras_tuner.oracles.RandomSearchOracle,
}
SCORE = "score"
# Faults of a trial itself: flags that do not go together, training that diverges, memory.
FAILURES = (UserError, flags.Error, tf.errors.ResourceExhaustedError)


class Board:
    """A watcher that writes a trial to TensorBoard, and its steps alone to the terminal."""

    def __init__(self, board: TensorBoard, steps: Count) -> None:
        self.board = board
        self.steps = steps

    def on_resume(self, position: TrainingState, notices: Sequence[str]) -> None:
        self.steps.begin(position.total_steps)

    def on_step(self, position: TrainingState, values: Values, terms: dict[str, float]) -> None:
        self.steps.reach(position.total_steps, f"loss {terms['loss']:.3f}", loss=terms["loss"])
        self.board.on_step(position, values, terms)

    def on_epoch(self, position: TrainingState, row: dict[str, Any], monitor: Monitor) -> None:
        self.board.on_epoch(position, row, monitor)


class Search(BaseTuner):
    """Trials of a system over a space, in `<model_dir>/trials`; resumes what is there."""

    def __init__(
        self,
        values: flags.FlagValues,
        texts: dict[str, str],
        space: Space,
        study: RunDirectory,
        screen: Terminal,
    ) -> None:
        """Raises UserError, and writes nothing, if the data or the flags do not fit."""
        devices.prepare_tensorflow(values.seed, values.deterministic)
        self.values, self.texts, self.study, self.screen = values, {**texts}, study, screen
        self.dataset: data.DataSet = inputs.load_data(values)
        phases = schedule.phases(values, inputs.threat(values))
        chosen = values.objective if values.objective != "auto" else None
        selected = monitoring.selection(values, phases)
        self.texts |= {  # the same for all trials, whatever bound they are trained by
            "select_by": selected,
            "monitor_bound": monitoring.monitored_name(values.monitor_bound, phases),
        }
        self.by = chosen or (monitoring.trained_for(phases) if selected == "last" else selected)
        monitoring.refuse_unwatched("objective", self.by, values)
        _refuse_members(phases)
        folder = study.path / "search"
        reloaded, begun = (folder / "tuner0.json").exists(), (folder / "oracle.json").exists()
        super().__init__(
            _oracle(values, space),
            directory=str(study.path),
            project_name="search",
            overwrite=False,
        )
        if begun and not reloaded:  # a kill may have kept keras-tuner from writing its own file
            self.oracle.reload()
        self.save()

    def run(self) -> None:
        """Searches to the end; prints the trials and writes the flags of the best one."""
        self.search(verbose=0)
        trials = sorted(self.oracle.trials.values(), key=_rank)
        terminal().print(self._table(trials))
        if not trials or trials[0].score is None:
            raise UserError("trials: expected one that ends well; all failed, see the lines above")
        flag_texts = {**self.texts, **self._flags(trials[0])}
        del flag_texts["model_dir"]
        lines = [
            f"# The best of {len(trials)} trials: {self.by} {trials[0].score:.4f} on validation."
        ]
        lines += [f"--{name}={text}" for name, text in flag_texts.items()]
        write_text(self.study.path / "best.cfg", "\n".join(lines) + "\n")
        best = flag("flagfile", f"{self.study.path}/best.cfg")
        command = f"{called('train')} {best} --model_dir=<folder of the run>"
        self.screen.tell("next", f"next:\n  {command}", commands=[command])

    def run_trial(self, trial: Any, **options: Any) -> dict[str, float]:
        """Trains once; FailedTrialError for flags that fail, FatalError for other errors."""
        try:
            score = self._trained(trial)
        except FAILURES as error:
            reason = " ".join(str(error).split())[:300]
            self._tell(trial, f"failed: {reason}", failed=reason)
            raise keras_tuner.errors.FailedTrialError(reason) from error
        except Exception as error:
            raise keras_tuner.errors.FatalError(str(error)) from error
        finally:
            keras.backend.clear_session()
        self._tell(trial, f"{self.by} {score:.4f}", **{self.by: score}, flags=self._flags(trial))
        return {SCORE: score}

    def _tell(self, trial: Any, outcome: str, **facts: Any) -> None:
        self.screen.tell(
            "trial", f"trial {trial.trial_id}: {outcome}", trial=trial.trial_id, **facts
        )

    def on_trial_end(self, trial: Any) -> None:
        """Saves the search again: keras-tuner saves before a trial's end, and would retry it."""
        super().on_trial_end(trial)
        self.oracle.save()

    def _trained(self, trial: Any) -> float:
        chosen = self._flags(trial)
        values = run_flags({**self.texts, **chosen})
        folder = self.study.path / "trials" / trial.trial_id
        if (folder / "trial.json").exists():  # killed before keras-tuner noted it
            return float(read_notes(folder / "trial.json")[self.by])
        devices.prepare_tensorflow(values.seed, values.deterministic)
        strategy = devices.strategy(values.strategy, values.jit_compile)
        loop = training.checked_loop(values, self.dataset, folder, strategy)
        _refuse_members(loop.phases)
        board = TensorBoard(
            self.study.logs / trial.trial_id, self.dataset.validation, self.dataset.class_names
        )
        with board.writer.as_default():
            hparams.hparams(chosen, trial_id=trial.trial_id)
        title = f"trial {trial.trial_id}"
        with deferred() as loop.stopping, training.count_steps(loop, title, self.screen) as steps:
            loop.watcher = Board(board, steps)
            position = loop.run()
        best = _score(position, self.by)
        with board.writer.as_default(step=position.total_steps):
            tf.summary.scalar(self.by, best)
        board.writer.flush()
        write_notes(folder / "trial.json", {**chosen, self.by: best})
        shutil.rmtree(folder / "checkpoints", ignore_errors=True)
        return best

    def _flags(self, trial: Any) -> dict[str, str]:
        """The flags of a trial that the search has chosen, as text."""
        return {name: as_flag(value) for name, value in trial.hyperparameters.values.items()}

    def _table(self, trials: list[Any]) -> Table:
        names = list(trials[0].hyperparameters.values) if trials else []
        table = Table(
            "trial", *names, self.by, title=f"{self.texts['system']}: {len(trials)} trials"
        )
        for trial in trials:
            score = "failed" if trial.score is None else f"{100 * trial.score:.2f} %"
            table.add_row(trial.trial_id, *self._flags(trial).values(), score)
        return table


def _score(position: TrainingState, by: str) -> float:
    """The validation accuracy of the weights that are selected."""
    selected = [position.selected["phase"], position.selected["epoch"]]
    rows = [row for row in position.history if [row["phase"], row["epoch"]] == selected]
    return float(rows[-1]["validation"][by])


def _refuse_members(phases: Sequence[Phase]) -> None:
    if any(phase.new_member for phase in phases):
        raise UserError("new_member: expected false, as one network is judged; received true")


def _oracle(values: flags.FlagValues, space: Space) -> Any:
    parameters = keras_tuner.HyperParameters()
    for name, settings in space.flags.items():
        options = {key: value for key, value in settings.items() if key != "kind"}
        make = getattr(parameters, {"int": "Int"}.get(settings["kind"], settings["kind"].title()))
        try:
            make(name, **options)
        except (TypeError, ValueError) as error:
            raise UserError(f"space: '{name}': {' '.join(str(error).split())}") from error
    common = {
        "objective": keras_tuner.Objective(SCORE, "max"),
        "max_trials": values.trials,
        "hyperparameters": parameters,
        "allow_new_entries": False,
        "tune_new_entries": False,
        "max_retries_per_trial": 0,
        "max_consecutive_failed_trials": values.trials + 1,
        "seed": values.seed,
    }
    return ORACLES[values.tuner](**common)


def _rank(trial: Any) -> float:
    return float("inf") if trial.score is None else -trial.score
