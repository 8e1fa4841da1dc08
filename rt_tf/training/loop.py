"""The training loop: step by step over phases, resumable at any step.

The one file that knows strategies, checkpoints and resume. It prints nothing: a `Watcher` sees
what happens. Positions: `step` counts within the phase; an epoch is a pass over the training split
in an order that depends on (seed, phase, epoch) alone.
"""

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import keras
import tensorflow as tf

from rt_tf import data
from rt_tf.errors import UserError
from rt_tf.training.checkpoints import Checkpoints, save_network
from rt_tf.training.model import RobustModel
from rt_tf.training.monitor import Accuracies, Monitor
from rt_tf.training.objective import Objective
from rt_tf.training.phases import Phase, Values, stable

StepFunction = Callable[[Any], dict[str, tf.Tensor]]


class NotFiniteError(UserError):
    """The loss stopped being a number."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to train, apart from what the phases say."""

    batch_size: int
    seed: int = 0
    select_by: str = "last"
    monitor_every: int = 1
    monitor_samples: int = 1000
    checkpoint_seconds: float = 30.0
    jit_compile: bool = False
    clip_norm: float = 0.0
    stable_tolerance: float = 0.01
    augment: bool = False


@dataclasses.dataclass
class Position:
    """Where training stands; saved with every checkpoint."""

    phase: int = 0
    step: int = 0
    total_steps: int = 0
    seconds: float = 0.0
    epoch_losses: list[float] = dataclasses.field(default_factory=list)
    epoch_sums: dict[str, float] = dataclasses.field(default_factory=dict)
    best: list[float] = dataclasses.field(default_factory=list)
    selected: dict[str, Any] = dataclasses.field(default_factory=dict)
    history: list[dict[str, Any]] = dataclasses.field(default_factory=list)


class Watcher(Protocol):
    """What a run tells its surroundings."""

    def on_resume(self, position: Position, notices: Sequence[str]) -> None: ...

    def on_step(self, position: Position, values: Values, terms: dict[str, float]) -> None: ...

    def on_epoch(self, position: Position, row: dict[str, Any], monitor: Monitor) -> None: ...


@dataclasses.dataclass
class Loop:
    """Trains a `RobustModel` through phases.

    objectives: one for each phase. optimizer: makes a new one. network: builds the float32 network
    that is kept. Everything is written below `directory`: checkpoints/ and best/network.keras.
    """

    model: RobustModel
    phases: Sequence[Phase]
    objectives: Sequence[Objective]
    optimizer: Callable[[], keras.optimizers.Optimizer]
    train: data.Split
    validation: data.Split
    monitor: Monitor
    network: Callable[[], keras.Model]
    directory: Path
    settings: Settings
    watcher: Watcher
    position: Position = dataclasses.field(default_factory=Position)

    def __post_init__(self) -> None:
        self.strategy = tf.distribute.get_strategy()
        self.checkpoints = Checkpoints(self.directory / "checkpoints")
        self.steps_per_epoch = len(self.train) // self.settings.batch_size
        self._saved_at = time.monotonic()
        self._check()

    def run(self) -> Position:
        """Trains to the end, from the last whole checkpoint if there is one."""
        self._compile(0)
        self._resume()
        if not self.checkpoints.steps():
            self._checkpoint(force=True)
        started = time.monotonic() - self.position.seconds
        while self.position.phase < len(self.phases):
            phase = self.phases[self.position.phase]
            step = self._step_function()
            for batch in () if self._phase_ends(phase) else self.batches(phase):
                self._one_step(step, batch, phase)
                self.position.seconds = time.monotonic() - started
                if self._phase_ends(phase):
                    break
                self._checkpoint()
            self._next_phase()
            self._checkpoint(force=True)
        return self.position

    def begin_phase(self) -> StepFunction:
        """Compiles the model for the present phase; returns its step."""
        self._compile(self.position.phase)
        return self._step_function()

    def take_step(self, step: StepFunction, batch: Any, values: Values) -> dict[str, float]:
        """One step at the given radius, kappa and learning rate; returns the terms."""
        self.model.eps.assign(values.eps)
        self.model.kappa.assign(values.kappa)
        self.model.optimizer.learning_rate.assign(values.learning_rate)
        return {name: float(value) for name, value in step(batch).items()}

    def batches(self, phase: Phase) -> Iterator[Any]:
        """The batches of the rest of a phase, epoch by epoch."""
        settings = self.settings
        for epoch in range(self.position.step // self.steps_per_epoch, phase.epochs):
            dataset = data.batches(
                self.train,
                settings.batch_size,
                settings.seed,
                1000 * self.position.phase + epoch,
                skip=self.position.step - epoch * self.steps_per_epoch,
                augment=settings.augment,
            )
            if self.strategy.num_replicas_in_sync > 1:
                dataset = self.strategy.experimental_distribute_dataset(dataset)
            yield from dataset

    def _check(self) -> None:
        for phase in self.phases:
            phase.check()
        if self.steps_per_epoch == 0:
            raise UserError(
                f"batch_size: expected at most the {len(self.train)} training examples; "
                f"received {self.settings.batch_size}"
            )
        replicas = self.strategy.num_replicas_in_sync
        if any(objective.bound_samples % replicas for objective in self.objectives):
            raise UserError(f"bound_samples: expected a multiple of the {replicas} replicas")
        if self.settings.batch_size % replicas:
            raise UserError(
                f"batch_size: expected a multiple of the {replicas} replicas; "
                f"received {self.settings.batch_size}"
            )

    def _compile(self, number: int) -> None:
        anew = self.model.objective is None or self.phases[number].reset_optimizer
        self.model.phase = number
        with self.strategy.scope():
            optimizer = self.optimizer() if anew else self.model.optimizer
            self.model.compile(
                optimizer, self.objectives[number], clip_norm=self.settings.clip_norm
            )

    def _resume(self) -> None:
        found = self.checkpoints.restore(**self._trackables())
        if found is not None:
            self.position = Position(**found)
            number = min(self.position.phase, len(self.phases) - 1)
            self.model.objective, self.model.phase = self.objectives[number], number
        self.watcher.on_resume(self.position, self.checkpoints.notices)

    def _step_function(self) -> StepFunction:
        model, strategy = self.model, self.strategy

        def step(batch: Any) -> dict[str, tf.Tensor]:
            terms = strategy.run(model.train_step, args=(batch,))
            return {k: strategy.reduce("MEAN", v, axis=None) for k, v in terms.items()}

        return tf.function(step, autograph=False, jit_compile=self.settings.jit_compile or None)

    def _one_step(self, step: StepFunction, batch: Any, phase: Phase) -> None:
        position = self.position
        values = phase.values(position.step / self.steps_per_epoch)
        terms = self.take_step(step, batch, values)
        if not math.isfinite(terms["loss"]):
            raise self._not_finite("loss", terms["loss"], position.total_steps + 1)
        position.step += 1
        position.total_steps += 1
        for name, value in terms.items():
            position.epoch_sums[name] = position.epoch_sums.get(name, 0.0) + value
        self.watcher.on_step(position, values, terms)
        if position.step % self.steps_per_epoch == 0:
            self._end_epoch(phase, values)

    def _end_epoch(self, phase: Phase, values: Values) -> None:
        position = self.position
        means = {k: v / self.steps_per_epoch for k, v in position.epoch_sums.items()}
        position.epoch_losses.append(means["loss"])
        position.epoch_sums = {}
        epoch = position.step // self.steps_per_epoch
        last = position.phase == len(self.phases) - 1 and self._phase_ends(phase)
        if epoch % self.settings.monitor_every and not last:
            return
        samples = self.settings.monitor_samples
        on_train = self.monitor.accuracies(self.train.take(samples))
        on_validation = self.monitor.accuracies(self.validation.take(samples))
        row: dict[str, Any] = {"phase": position.phase, "epoch": epoch}
        row |= {"step": position.total_steps}
        row |= {"seconds": position.seconds, **means, **values._asdict()}
        row |= {"train": on_train._asdict(), "validation": on_validation._asdict()}
        position.history.append(row)
        self._select(on_validation, epoch, phase)
        self.watcher.on_epoch(position, row, self.monitor)

    def _select(self, accuracies: Accuracies, epoch: int, phase: Phase) -> None:
        """Keeps the network if it is the best so far; only once the last phase has ramped up."""
        position, by = self.position, self.settings.select_by
        if position.phase < len(self.phases) - 1 or epoch < phase.ramped:
            return
        value = float(position.total_steps) if by == "last" else getattr(accuracies, by)
        if value is None:
            raise UserError(
                f"select_by: expected a quantity that is monitored; received '{by}', which needs "
                "a bound (verified) or --monitor_attack_steps > 0 (attacked)"
            )
        self._refuse_lost_weights()
        rank = [value, accuracies.clean]
        if position.best and rank < position.best:
            return
        position.best = rank
        position.selected = {"phase": position.phase, "epoch": epoch, "by": by, "value": value}
        network = self.network()
        network.set_weights(self.model.network.get_weights())
        save_network(network, self.directory / "best" / "network.keras")
        self._checkpoint(force=True)  # what is selected and what is kept stay one

    def _phase_ends(self, phase: Phase) -> bool:
        position = self.position
        if position.step % self.steps_per_epoch:
            return False
        if position.step >= phase.epochs * self.steps_per_epoch:
            return True
        settled = position.epoch_losses[math.ceil(phase.ramped) :]  # ramps move the loss themselves
        return phase.until == "stable" and stable(settled, self.settings.stable_tolerance)

    def _next_phase(self) -> None:
        self.position.phase += 1
        self.position.step = 0
        self.position.epoch_losses = []
        if self.position.phase < len(self.phases):
            self._compile(self.position.phase)

    def _checkpoint(self, force: bool = False) -> None:
        due = time.monotonic() - self._saved_at >= self.settings.checkpoint_seconds
        if not (due or force):
            return
        self._refuse_lost_weights()
        self.checkpoints.save(
            self.position.total_steps,
            dataclasses.asdict(self.position),
            **self._trackables(),
        )
        self._saved_at = time.monotonic()

    def _trackables(self) -> dict[str, Any]:
        model = self.model
        return {"network": model.network, "optimizer": model.optimizer, "moves": model.moves}

    def _refuse_lost_weights(self) -> None:
        """The last step's gradient may have been infinite though its loss was not."""
        for weight in self.model.network.trainable_variables:
            if not tf.reduce_all(tf.math.is_finite(tf.convert_to_tensor(weight))):
                step = self.position.total_steps
                raise self._not_finite(f"weights of {weight.path}", math.nan, step)

    def _not_finite(self, what: str, received: float, step: int) -> NotFiniteError:
        steps = self.checkpoints.steps()
        kept = f"checkpoints/ckpt-{steps[-1]}" if steps else "none yet"
        return NotFiniteError(
            f"{what}: expected finite numbers; received {received} at step {step} "
            f"(phase {self.position.phase + 1}); training stopped; "
            f"last good weights: {kept}; a smaller --learning_rate or --clip_norm may help"
        )
