"""The training of a trial of a search, in this process or in another one."""

import functools
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import tensorflow as tf
from absl import flags
from tensorboard.plugins.hparams import api as hparams

from pipelines.assembly import devices, inputs
from pipelines.console import console
from pipelines.flags.run import run_flags
from pipelines.output import Terminal
from pipelines.progress import Count
from pipelines.runs.interruption import deferred
from pipelines.runs.supervised import end_with_parent
from pipelines.stages import training
from rt_tf import data
from rt_tf.errors import UserError
from rt_tf.notes import read_notes, write_notes
from rt_tf.reporting.tensorboard import TensorBoard
from rt_tf.training.loop.state import TrainingState
from rt_tf.training.monitor import Monitor
from rt_tf.training.phases import Phase, Values

# Faults of a trial itself: flags that do not go together, training that diverges, memory.
FAILURES = (UserError, flags.Error, tf.errors.ResourceExhaustedError)


class Trial(NamedTuple):
    """A trial of a search.

    study: the search's folder. number: the trial's name in it. texts, chosen: the flags of the
    system and, in their stead, those of this trial, as text. by: the validation accuracy that is
    its score.
    """

    study: Path
    number: str
    texts: dict[str, str]
    chosen: dict[str, str]
    by: str

    def values(self) -> flags.FlagValues:
        """The flags of the trial."""
        return run_flags({**self.texts, **self.chosen})


class Outcome(NamedTuple):
    """The score of a trial; None where it failed, with the reason."""

    score: float | None
    failure: str = ""


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


def outcome(trial: Trial, dataset: data.DataSet, screen: Terminal) -> Outcome:
    """Trains once; the score, or how the trial's own flags made it fail."""
    try:
        return Outcome(_score(trial, dataset, screen))
    except FAILURES as error:
        return Outcome(None, " ".join(str(error).split())[:300])
    finally:
        keras.backend.clear_session()


def outcome_elsewhere(trial: Trial) -> Outcome:
    """The outcome of a trial in a worker of a cluster, which reads the data once."""
    end_with_parent()
    try:
        dataset = _data(tuple(trial.texts.items()))
    except UserError as error:
        return Outcome(None, str(error))
    return outcome(trial, dataset, console(quiet=True))


@functools.lru_cache(1)
def _data(texts: tuple[tuple[str, str], ...]) -> data.DataSet:
    return inputs.load_data(run_flags(dict(texts)))


def _score(trial: Trial, dataset: data.DataSet, screen: Terminal) -> float:
    values, folder = trial.values(), trial.study / "trials" / trial.number
    if (folder / "trial.json").exists():  # killed before keras-tuner noted it
        return float(read_notes(folder / "trial.json")[trial.by])
    devices.prepare_tensorflow(values.seed, values.deterministic)
    strategy = devices.strategy(values.strategy, values.jit_compile)
    loop = training.checked_loop(values, dataset, folder, strategy)
    refuse_members(loop.phases)
    board = TensorBoard(
        trial.study / "logs" / trial.number, dataset.validation, dataset.class_names
    )
    with board.writer.as_default():
        hparams.hparams(trial.chosen, trial_id=trial.number)
    title = f"trial {trial.number}"
    with deferred() as loop.stopping, training.count_steps(loop, title, screen) as steps:
        loop.watcher = Board(board, steps)
        position = loop.run()
    best = _selected(position, trial.by)
    with board.writer.as_default(step=position.total_steps):
        tf.summary.scalar(trial.by, best)
    board.writer.flush()
    write_notes(folder / "trial.json", {**trial.chosen, trial.by: best})
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    return best


def _selected(position: TrainingState, by: str) -> float:
    """The validation accuracy of the weights that are selected."""
    selected = [position.selected["phase"], position.selected["epoch"]]
    rows = [row for row in position.history if [row["phase"], row["epoch"]] == selected]
    return float(rows[-1]["validation"][by])


def refuse_members(phases: Sequence[Phase]) -> None:
    """Raises UserError for a cascade, of which a search judges no more than a member."""
    if any(phase.new_member for phase in phases):
        raise UserError("new_member: expected false, as one network is judged; received true")
