"""The training stage: builds the loop from flags, shows its progress, keeps its history."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from absl import flags
from rich.console import Console
from rich.progress import Progress

from pipelines import system
from pipelines.console import progress
from pipelines.question_flags import bound_settings
from pipelines.questions import load_network
from pipelines.run_directory import RunDirectory
from rt_tf import data, models
from rt_tf.errors import UserError
from rt_tf.files import write_text
from rt_tf.reporting.export import network_checksum
from rt_tf.training.loop import Loop, Position
from rt_tf.training.model import RobustModel
from rt_tf.training.monitor import Monitor
from rt_tf.training.phases import Values
from rt_tf.training.tensorboard import TensorBoard


class Watcher:
    """Shows training on the terminal and in TensorBoard, and keeps history.jsonl."""

    def __init__(
        self, run: RunDirectory, loop_steps: int, board: TensorBoard, screen: Console, bar: Progress
    ) -> None:
        self.run = run
        self.board = board
        self.screen = screen
        self.bar = bar
        self.task = bar.add_task("train", total=loop_steps, status="")

    def on_resume(self, position: Position, notices: Sequence[str]) -> None:
        for notice in notices:
            self.screen.print(f"{notice}; going back to the one before", markup=False)
        if position.total_steps:
            self.screen.print(f"resuming after step {position.total_steps:,}")
        self._write_history(position)
        self.bar.update(self.task, completed=position.total_steps)

    def on_step(self, position: Position, values: Values, terms: dict[str, float]) -> None:
        status = f"loss {terms['loss']:.3f}  eps {values.eps:.3g}  kappa {values.kappa:.2g}"
        self.bar.update(self.task, completed=position.total_steps, status=status)
        self.board.on_step(position, values, terms)

    def on_epoch(self, position: Position, row: dict[str, Any], monitor: Monitor) -> None:
        self._write_history(position)
        self.board.on_epoch(position, row, monitor)
        self.screen.print(_epoch_line(row))

    def _write_history(self, position: Position) -> None:
        write_text(self.run.history, "".join(json.dumps(row) + "\n" for row in position.history))


def train(
    values: flags.FlagValues,
    run: RunDirectory,
    dataset: data.DataSet,
    loop: Loop,
    screen: Console,
) -> None:
    """Runs the loop to its end, resuming what is there; the result is best/network.keras."""
    board = TensorBoard(run.logs, dataset.validation)
    board.text("flags", "\n".join(f"    --{k}={v}" for k, v in run.frozen().items()))
    with progress(screen) as bar:
        steps = sum(phase.epochs for phase in loop.phases) * loop.steps_per_epoch
        loop.watcher = Watcher(run, steps, board, screen, bar)
        position = loop.run()
    network = load_network(run)
    run.note(
        selected=position.selected,
        network_sha256=network_checksum(network),
        model={
            "name": values.model,
            "parameters": network.count_params(),
            "hidden_units": models.hidden_units(network),
        },
        seconds={**run.facts().get("seconds", {}), "train": position.seconds},
    )


class Silent:
    """A watcher that looks away."""

    def on_resume(self, position: Position, notices: Sequence[str]) -> None:
        """Says nothing."""

    def on_step(self, position: Position, values: Values, terms: dict[str, float]) -> None:
        """Says nothing."""

    def on_epoch(self, position: Position, row: dict[str, Any], monitor: Monitor) -> None:
        """Says nothing."""


def checked_loop(values: flags.FlagValues, dataset: data.DataSet, directory: Path) -> Loop:
    """The loop of a run; UserError, and nothing is written, if it could not be trained."""
    if values.augment and dataset.train.augmentation is None:
        raise UserError(f"augment: expected false: {dataset.name} has none; received true")
    return make_loop(values, dataset, directory)


def make_loop(values: flags.FlagValues, dataset: data.DataSet, directory: Path) -> Loop:
    """The loop that the flags describe."""
    threat = system.threat(values)
    phases = system.phases(values, threat)
    make = system.network_maker(values, dataset)
    with system.strategy(values.strategy, values.jit_compile).scope():
        network = system.under_policy(values.precision, make)()
        model = RobustModel(network, seed=values.seed)
        return Loop(
            model=model,
            phases=phases,
            objectives=[
                system.objective(phase, threat, bound_settings(values)) for phase in phases
            ],
            optimizer=system.optimizer_maker(values),
            train=dataset.train,
            validation=dataset.validation,
            monitor=Monitor(
                model.wiring,
                threat,
                values.epsilon,
                system.monitored_bound(phases, threat, bound_settings(values)),
                system.monitored_attack(threat, values.monitor_attack_steps),
                values.seed,
            ),
            network=system.under_policy("float32", make),
            directory=directory,
            settings=system.settings(values, phases),
            watcher=Silent(),
        )


def _epoch_line(row: dict[str, Any]) -> str:
    shares = [
        f"{part} " + " / ".join("-" if v is None else f"{100 * v:5.1f}" for v in row[part].values())
        for part in ("train", "validation")
    ]
    return (
        f"phase {row['phase'] + 1} epoch {row['epoch']:3d}  loss {row['loss']:7.4f}  eps "
        f"{row['eps']:.4f}  clean / attacked / verified %: {', '.join(shares)}"
    )
