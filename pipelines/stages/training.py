"""The training stage: builds the loop from flags, shows its progress, keeps its history."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import keras
import numpy as np
from absl import flags

from pipelines.assembly import (
    inputs,
    monitoring,
    networks,
    optimization,
    refusals,
    schedule,
)
from pipelines.flags.evaluation import bound_settings
from pipelines.output import Terminal
from pipelines.progress import Count, shown_count
from pipelines.runs.directory import RunDirectory
from pipelines.runs.provenance import pin_extra
from pipelines.runs.restoring import load_network
from pipelines.stages.together import stopping_together
from rt_tf import data, models
from rt_tf.catalogue.bounds import RECOMPUTE
from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.evaluation.refusals import check_radius, refuse_inputs
from rt_tf.files import write_bytes
from rt_tf.network.trace import trace
from rt_tf.records.record_file import line
from rt_tf.replicas import Strategy
from rt_tf.reporting.claim import domain_of
from rt_tf.reporting.tensorboard import TensorBoard
from rt_tf.serving import saved_model
from rt_tf.serving.saved_model import network_checksum
from rt_tf.threats.region import Threat
from rt_tf.training.loop.guard import Guard
from rt_tf.training.loop.loop import Loop
from rt_tf.training.loop.state import TrainingState
from rt_tf.training.model import RobustModel
from rt_tf.training.monitor import Monitor
from rt_tf.training.objectives import of_phase
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.phases import Phase, Values

GUARD_STEPS = 5  # of PGD on a minibatch after every epoch: Wong 2020 (thesis), section 4.1.2


class Watcher:
    """Shows training on the terminal and in TensorBoard, and keeps history.jsonl."""

    def __init__(
        self, run: RunDirectory, board: TensorBoard, screen: Terminal, steps: Count
    ) -> None:
        self.run = run
        self.board = board
        self.screen = screen
        self.steps = steps

    def on_resume(self, position: TrainingState, notices: Sequence[str]) -> None:
        for notice in notices:
            self.screen.print(f"{notice}; going back to the one before")
        if position.total_steps:
            self.screen.print(f"resuming after step {position.total_steps:,}")
        self._write_history(position)
        self.steps.begin(position.total_steps)

    def on_step(self, position: TrainingState, values: Values, terms: dict[str, float]) -> None:
        status = f"loss {terms['loss']:.3f}  eps {values.eps:.3g}  kappa {values.kappa:.2g}"
        self.steps.reach(position.total_steps, status, loss=terms["loss"], eps=values.eps)
        self.board.on_step(position, values, terms)

    def on_epoch(self, position: TrainingState, row: dict[str, Any], monitor: Monitor) -> None:
        self._write_history(position)
        self.board.on_epoch(position, row, monitor)
        self.screen.tell("epoch", _epoch_line(row), **row)

    def _write_history(self, position: TrainingState) -> None:
        lines = [line(row, finite=False) for row in position.history]
        write_bytes(self.run.history, b"".join(lines))


def train(
    values: flags.FlagValues,
    run: RunDirectory,
    dataset: data.DataSet,
    loop: Loop,
    screen: Terminal,
) -> None:
    """Trains to the end, resuming from a checkpoint; the result is best/network.keras."""
    pin_extra(run, loop.extra)
    board = TensorBoard(run.logs, dataset.validation, dataset.class_names)
    board.text("flags", "\n".join(f"    --{k}={v}" for k, v in run.frozen().items()))
    with stopping_together(loop), count_steps(loop, "train", screen) as steps:
        loop.watcher = Watcher(run, board, screen, steps)
        position = loop.run()
    network = load_network(run)
    run.note(
        selected=position.selected,
        history=len(position.history),
        network_sha256=network_checksum(network),
        model={
            "name": values.model,
            "parameters": network.count_params(),
            "hidden_units": models.hidden_units(network),
        },
        seconds={**run.facts().get("seconds", {}), "train": position.seconds},
        cpu_seconds={**run.facts().get("cpu_seconds", {}), "train": position.cpu_seconds},
        replicas=loop.strategy.num_replicas_in_sync,
    )


def count_steps(loop: Loop, title: str, screen: Terminal) -> AbstractContextManager[Count]:
    """A count of a loop's steps, which is shown while its block runs."""
    return shown_count(screen, title, sum(loop.most_steps()), images=loop.settings.batch_size)


class NullWatcher:
    """A watcher that ignores all events."""

    def on_resume(self, position: TrainingState, notices: Sequence[str]) -> None:
        """Says nothing."""

    def on_step(self, position: TrainingState, values: Values, terms: dict[str, float]) -> None:
        """Says nothing."""

    def on_epoch(self, position: TrainingState, row: dict[str, Any], monitor: Monitor) -> None:
        """Says nothing."""


def checked_loop(
    values: flags.FlagValues,
    dataset: data.DataSet,
    directory: Path,
    strategy: Strategy,
) -> Loop:
    """The loop of a run; UserError, and nothing is written, for flags that do not fit the data."""
    if values.augment and dataset.train.augmentation is None:
        raise UserError(
            f"augment: expected false for {dataset.name}, which has no changes of images; "
            "received true"
        )
    if not values.flips and not values.augment:
        raise UserError("flips: expected true without --augment, which mirrors; received false")
    refuse_image_changes(values, dataset)
    threat = inputs.threat(values)
    refuse_inputs("eval_attack", values.eval_attack, threat, dataset.shape, dataset.domain)
    if len(dataset.shape) == 3 and values.cutout > min(dataset.shape[:2]):
        raise UserError(
            f"cutout: expected at most {min(dataset.shape[:2])}, the images' side; received "
            f"{values.cutout}"
        )
    refusals.refuse_few_classes("eval_loss", values.eval_loss, dataset.classes)
    loop = make_loop(values, dataset, directory, strategy)
    for phase in loop.phases:
        refuse_inputs("attack", phase.attack, threat, dataset.shape, dataset.domain)
        for flag, eps in (("train_epsilon", phase.eps), ("epsilon_from", phase.eps_from)):
            if eps:
                check_radius(loop.monitor.threat, eps, flag, dataset.domain)
        refusals.refuse_few_classes("attack_loss", phase.attack_loss, dataset.classes)
    return loop


def refuse_image_changes(values: flags.FlagValues, dataset: data.DataSet) -> None:
    """Raises UserError for changes of images where the data set is a table."""
    if values.cutout and len(dataset.shape) != 3:
        raise UserError(
            f"cutout: expected 0 for {dataset.name}, which has no images; received {values.cutout}"
        )


def make_loop(
    values: flags.FlagValues,
    dataset: data.DataSet,
    directory: Path,
    strategy: Strategy,
) -> Loop:
    """The loop that the flags describe, on the replicas of a strategy."""
    threat = inputs.threat(values)
    phases = schedule.phases(values, threat)
    make = networks.network_maker(values, dataset)
    with strategy.scope():
        # Seeded here, since the data's preparation, for example, may have drawn numbers before.
        keras.utils.set_random_seed(values.seed)
        network = networks.under_policy(values.precision, make)()
        model = RobustModel(network, seed=values.seed, domain=dataset.domain)
        average = networks.average(values, make)
        monitor = Monitor(
            trace(average.network, domain=dataset.domain) if average else model.wiring,
            threat,
            values.epsilon,
            monitoring.monitored_bound(
                values.monitor_bound, phases, threat, bound_settings(values)
            ),
            monitoring.monitored_attack(threat, values.monitor_attack_steps),
            values.seed,
        )
        return Loop(
            model=model,
            phases=phases,
            objectives=_objectives(phases, threat, values, model),
            optimizer=optimization.optimizer_maker(values),
            train=dataset.train,
            validation=dataset.validation,
            monitor=monitor,
            network=networks.under_policy("float32", make),
            directory=directory,
            settings=optimization.settings(values, phases, dataset),
            watcher=NullWatcher(),
            average=average,
            guard=_guard(values, model, threat, directory),
            extra=extra_examples(values, dataset),
        )


def _objectives(
    phases: Sequence[Phase], threat: Threat, values: flags.FlagValues, model: RobustModel
) -> list[Objective]:
    refusals.refuse_recompute(phases, values.bound_recompute)
    settings = bound_settings(values) | ({RECOMPUTE: True} if values.bound_recompute else {})
    by_phase = [of_phase.objective(phase, threat, settings) for phase in phases]
    for phase, objective in zip(phases, by_phase, strict=True):
        objective.trained(model.wiring)  # refuses a latent layer that the network does not have
        if phase.attack == "latent" and model.wiring.has_statistics:
            raise UserError(
                "attack: expected an attack on images for a network with batch normalisation; "
                "received latent"
            )
    return by_phase


def _guard(values: flags.FlagValues, model: RobustModel, threat: Threat, directory: Path) -> Guard:
    attack = monitoring.monitored_attack(threat, GUARD_STEPS)
    monitor = Monitor(model.wiring, threat, values.epsilon, None, attack, values.seed)
    return Guard(monitor, values.overfit_drop, directory)


def extra_examples(values: flags.FlagValues, dataset: data.DataSet) -> data.Extra | None:
    """The further training examples that the flags name, None without any; UserError if unfit."""
    if values.extra_data is None:
        if values.extra_labels_from is not None:
            raise UserError(
                "extra_labels_from: expected --extra_data=<images to label>; received none"
            )
        return None
    count = round(values.extra_share * values.batch_size)
    if not 0 < count < values.batch_size:
        raise UserError(
            f"extra_share: expected the share of 1 to {values.batch_size - 1} of a batch's "
            f"{values.batch_size} examples; received {values.extra_share:g}, which is that of "
            f"{count}"
        )
    named = values.extra_labels_from
    label = _labeller(named, dataset.shape, dataset.domain) if named else None
    split = data.read_extra(Path(values.extra_data), dataset, label)
    _refuse_judges(split, dataset.validation.take(values.monitor_samples), dataset.test)
    return data.Extra(split, values.extra_share)


def _refuse_judges(extra: data.Split, *judges: data.Split) -> None:
    """Raises UserError for examples by which training, or its result, is judged."""
    hashes = set(extra.hashes())
    for judge in judges:
        if shared := hashes.intersection(judge.hashes()):
            raise UserError(
                f"extra_data: expected other images than those of the {judge.name} split that "
                f"judge the network; received {len(shared)} of them"
            )


def _labeller(
    folder: str, shape: tuple[int, ...], domain: Domain
) -> Callable[[np.ndarray], np.ndarray]:
    """A function that labels images by a finished run's network."""
    path = RunDirectory(folder).export
    if saved_model.exported_checksum(path) is None:
        raise UserError(f"extra_labels_from: expected a finished run; {folder} is none")
    run = RunDirectory(folder)
    run_shape = tuple(run.facts()["dataset"]["shape"])
    run_domain = domain_of(run.facts())
    if run_shape != shape or run_domain.config() != domain.config():
        raise UserError(
            f"extra_labels_from: expected a run on images of {list(shape)} in {domain}; {folder} "
            f"is on {list(run_shape)} in {run_domain}"
        )
    served = saved_model.load(path)
    return lambda images: served.serve(images)["label"].numpy()


def _epoch_line(row: dict[str, Any]) -> str:
    shares = [
        f"{part} " + " / ".join("-" if v is None else f"{100 * v:5.1f}" for v in row[part].values())
        for part in ("train", "validation")
    ]
    steering = "".join(
        f"  {name} {value:.6g}" for name, value in row["steering"].items() if name != "phase"
    )
    return (
        f"phase {row['phase'] + 1} epoch {row['epoch']:3d}  loss {row['loss']:7.4f}  eps "
        f"{row['eps']:.4f}  clean / attacked / verified %: {', '.join(shares)}{steering}"
    )
