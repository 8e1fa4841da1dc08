"""The training loop: step by step over phases, resumable at any step.

It prints nothing: a `Watcher` gets all events. Several processes that train together take the same
steps and have the same position; the first one, the chief, evaluates and writes. Positions: `step`
counts within the phase; an epoch is a pass over the training split in an order that depends on
(seed, phase, epoch) alone.
"""

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from rt_tf import data
from rt_tf.errors import UserError
from rt_tf.training.loop.average import Average
from rt_tf.training.loop.cascade import CascadeMembers
from rt_tf.training.loop.checkpoints import Checkpoints, trackables
from rt_tf.training.loop.clock import Clock
from rt_tf.training.loop.examples import OpenExamples
from rt_tf.training.loop.guard import Guard, refuse_lost_loss, refuse_lost_weights
from rt_tf.training.loop.history import history_row, steering
from rt_tf.training.loop.selection import Selection
from rt_tf.training.loop.state import LoopSettings, TrainingState, Watcher
from rt_tf.training.loop.step import StepFunction, step_function
from rt_tf.training.loop.workers import Workers
from rt_tf.training.model import RobustModel
from rt_tf.training.monitor import Accuracies, Monitor, chance
from rt_tf.training.objectives.batch import refuse_uneven
from rt_tf.training.objectives.objective import Objective, Terms
from rt_tf.training.phases import Phase, Values, own_epochs

AGREE_EVERY = 10  # steps after which several processes ask one another whether to stop


@dataclasses.dataclass
class Loop:
    """Trains a `RobustModel` through phases.

    objectives: one for each phase. optimizer: makes a new one. network: builds the float32 network
    that is kept. average: of the weights, which then is monitored and kept. guard: judges phases
    until overfit. Everything is written below `directory`: checkpoints/ and best/network.keras, and
    further files of a phase or a cascade. stopping: asked after every step, of several processes
    after every few; when it is true in any, the loop writes a checkpoint and raises
    KeyboardInterrupt.
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
    settings: LoopSettings
    watcher: Watcher
    average: Average | None = None
    guard: Guard | None = None
    extra: data.Extra | None = None
    position: TrainingState = dataclasses.field(default_factory=TrainingState)
    stopping: Callable[[], bool] = lambda: False

    def __post_init__(self) -> None:
        self.strategy = tf.distribute.get_strategy()
        self.workers = Workers(self.strategy)
        self.checkpoints = Checkpoints(self.directory / "checkpoints")
        self.members = CascadeMembers(self.directory, self.phases, self.monitor)
        self.selection = Selection(self.settings.select_by, self.members, self.network)
        self.examples = OpenExamples(self.train, self.validation, self.settings, self.extra)
        self._check()

    @property
    def steps_per_epoch(self) -> int:
        """Batches of the present training examples."""
        return self.examples.steps_per_epoch

    def run(self) -> TrainingState:
        """Trains to the end, from the last whole checkpoint if there is one; the final state."""
        self._compile(0)
        self._resume()
        if self._is_new:
            self._begin_average()
            self._checkpoint(force=True)
        started = time.monotonic() - self.position.seconds
        cpu_started = time.process_time() - self.position.cpu_seconds
        while self.position.phase < len(self.phases):
            for _ in self._steps():
                self.position.seconds = time.monotonic() - started
                self.position.cpu_seconds = time.process_time() - cpu_started
                if self._phase_ends():
                    break
                self._pause()
            self._next_phase()
            self._checkpoint(force=True)
        return self.position

    @property
    def _is_new(self) -> bool:
        """Whether there is no checkpoint yet."""
        return bool(self.workers.from_chief(lambda: not self.checkpoints.steps()))

    def _pause(self) -> None:
        """Writes a checkpoint between two steps, if it is time for one or the run is to stop."""
        if self.workers.several and self.position.total_steps % AGREE_EVERY:
            return
        stop = self.workers.any(self.stopping())
        self._checkpoint(force=stop)
        if stop:
            self.workers.wait()  # until the checkpoint is whole
            raise KeyboardInterrupt

    def most_steps(self) -> list[int]:
        """The steps of each phase if none ends early."""
        epochs = own_epochs(self.phases)
        replayed = [n * phase.replays for n, phase in zip(epochs, self.phases, strict=True)]
        return [n * self.steps_per_epoch for n in replayed]

    def begin_phase(self) -> StepFunction:
        """Compiles the model for the present phase and returns its step function."""
        self._compile(self.position.phase)
        return self._step_function()

    def take_step(self, step: StepFunction, batch: Any, values: Values) -> dict[str, float]:
        """Takes one step at this radius, kappa and learning rate; returns the terms."""
        terms = step(batch, tf.constant([values.eps, values.kappa, values.learning_rate]))
        return dict(zip(Terms._fields, terms.numpy().tolist(), strict=True))

    def batches(self, phase: Phase) -> Iterator[Any]:
        """The batches of the rest of a phase, epoch by epoch, each as often as it is replayed."""
        replayed = self.position.step % phase.replays
        epochs, here = self._clock(phase).epochs, self.workers.replicas
        for dataset in self.examples.batches(self.position, phase, epochs, here):
            for batch in self.workers.batches(dataset):
                yield from [batch] * (phase.replays - replayed)
                replayed = 0

    def _clock(self, phase: Phase) -> Clock:
        labels = self.examples.validation.labels[: self.settings.monitor_samples]
        level = chance(labels) if phase.kappa_step else 0.0
        return Clock(phase, self.position, self.steps_per_epoch, level)

    def _check(self) -> None:
        for phase in self.phases:
            phase.check()
        if self.steps_per_epoch == 0:
            raise UserError(
                f"batch_size: expected at most the {len(self.train)} training examples; "
                f"received {self.settings.batch_size}"
            )
        refuse_uneven("batch_size", self.settings.batch_size, self.strategy.num_replicas_in_sync)

    def _compile(self, number: int) -> None:
        anew = self.model.objective is None or self.phases[number].reset_optimizer
        self.model.phase = number
        with self.strategy.scope():
            optimizer = self.optimizer() if anew else self.model.optimizer
            self.model.compile(
                optimizer, self.objectives[number], clip_norm=self.settings.clip_norm
            )

    def _resume(self) -> None:
        state = self._restored()
        if state is not None:
            self.position = TrainingState(**state)
            number = min(self.position.phase, len(self.phases) - 1)
            self.model.objective, self.model.phase = self.objectives[number], number
        self.watcher.on_resume(self.position, self.checkpoints.notices)
        self._open_examples()

    def _restored(self) -> dict[str, Any] | None:
        """Restores the newest checkpoint that the chief can read; the position that it holds."""
        own = trackables(self.model, self.average)
        state = self.workers.from_chief(lambda: self.checkpoints.restore(**own))
        if state is not None and not self.workers.chief:
            self.checkpoints.restore_step(state["total_steps"], **own)
        return dict(state) if state is not None else None

    def _open_examples(self) -> None:
        if self.position.phase < len(self.phases):
            self.workers.chief_first(lambda: self.examples.enter(self.members, self.position.phase))

    def _step_function(self) -> StepFunction:
        jit, weights = self.settings.jit_compile, self.settings.class_weights
        return step_function(self.strategy, self.model, self.average, jit, weights)

    def _steps(self) -> Iterator[None]:
        """Takes the steps of the rest of the present phase, if its examples fill a batch."""
        phase = self.phases[self.position.phase]
        if not self.examples.suffice or self._phase_ends():
            return
        if phase.until == "overfit" and not self.position.step and self.workers.chief:
            self._guard.keep(self.model)
        step = self._step_function()
        for batch in self.batches(phase):
            self._one_step(step, batch, phase)
            yield

    def _one_step(self, step: StepFunction, batch: Any, phase: Phase) -> None:
        position, clock = self.position, self._clock(phase)
        values = clock.values()
        computed, reported = (
            self.take_step(step, batch, values),
            self.objectives[position.phase].terms,
        )
        terms = {name: value for name, value in computed.items() if name in reported}
        refuse_lost_loss(terms["loss"], position, self.checkpoints)
        position.step += 1
        position.total_steps += 1
        for name, value in terms.items():
            position.epoch_sums[name] = position.epoch_sums.get(name, 0.0) + value
        self.watcher.on_step(position, values, terms)
        if clock.guarded():
            self._judge(clock, values.eps)
        if clock.at_epochs_end() or position.alarm:
            self._end_epoch(clock, values)

    def _judge(self, clock: Clock, eps: float) -> None:
        """Lets the guard judge the weights, and keep them or put earlier ones back."""
        minibatch = self.examples.train.take(self.settings.batch_size)
        accuracy = self.workers.from_chief(lambda: self._guard.accuracy(minibatch, eps))
        good = self._guard.judge(accuracy, clock)
        if self.position.alarm:
            self._guard.restore(self.model)
            self._begin_average()
        elif good and self.workers.chief:
            self._guard.keep(self.model)

    def _end_epoch(self, clock: Clock, values: Values) -> None:
        """Notes the epoch's loss and, if an evaluation is due, its row and the network."""
        position, means = self.position, clock.means
        position.epoch_losses.append(means["loss"])
        position.epoch_sums = {}
        last = self._phase_ends() and self.members.ends(position.phase)
        if last or clock.epoch % self.settings.monitor_every == 0:
            on_validation = self._evaluate(clock, means, values)
            self._select(on_validation, clock, last)
            self.watcher.on_epoch(position, position.history[-1], self.monitor)

    def _evaluate(self, clock: Clock, means: dict[str, float], values: Values) -> Accuracies:
        """The accuracies on validation examples, after a row of the history that holds them."""
        samples = self.settings.monitor_samples
        on_train, on_validation = (
            self._accuracies(split.take(samples))
            for split in (self.examples.train, self.examples.validation)
        )
        row = history_row(clock, means, values, on_train, on_validation)
        row["steering"] = steering(clock, self.members, len(self.examples.train))
        self.position.history.append(row)
        return on_validation

    def _accuracies(self, split: data.Split) -> Accuracies:
        """The accuracies on a split, those of the chief in all processes."""
        return Accuracies(*self.workers.from_chief(lambda: self.monitor.accuracies(split)))

    @property
    def _guard(self) -> Guard:
        if self.guard is None:
            raise ValueError("expected a guard for a phase until overfit")
        return self.guard

    def _select(self, accuracies: Accuracies, clock: Clock, last: bool) -> None:
        """Keeps the network if it may be kept and is the best so far."""
        rank = self.selection.rank(accuracies, clock, last)
        if rank is None:
            return
        refuse_lost_weights(self.model.network, self.position, self.checkpoints)
        if self.position.best and rank < self.position.best:
            return
        self.selection.note(rank, clock)
        if self.workers.chief:
            self.selection.keep(self._judged, self.position.phase)
        self._checkpoint(force=True)  # the selection and the kept file must agree

    @property
    def _judged(self) -> keras.Model:
        """The network that is monitored and kept."""
        return self.average.network if self.average else self.model.network

    def _phase_ends(self) -> bool:
        clock = self._clock(self.phases[self.position.phase])
        return clock.over(self.settings.stable_tolerance)

    def _next_phase(self) -> None:
        position = self.position
        phase = self.phases[position.phase]
        position.next_phase(self._clock(phase).epoch if self.steps_per_epoch else 0)
        if position.phase == len(self.phases):
            if self.workers.chief:
                self.members.unite()
            self.workers.wait()  # until all files are whole
            return
        if self.phases[position.phase].new_member:
            self._new_member()
        self._open_examples()
        self._compile(position.phase)

    def _new_member(self) -> None:
        """Draws new initial weights, as a function of (seed, phase) alone."""
        self.position.best, self.position.begun = [], 0
        keras.utils.set_random_seed(self.settings.seed + self.position.phase)
        self.model.network.set_weights(self.network().get_weights())
        self._begin_average()

    def _begin_average(self) -> None:
        """Begins the average again, where weights are set that no step led to."""
        if self.average:
            self.average.begin(self.model.network)

    def _checkpoint(self, force: bool = False) -> None:
        """Writes a checkpoint, if it is time by the chief's clock, or at once."""
        if not (force or self._is_due()):
            return
        refuse_lost_weights(self.model.network, self.position, self.checkpoints)
        if not self.workers.chief:
            return
        self.checkpoints.save(
            self.position.total_steps,
            dataclasses.asdict(self.position),
            **trackables(self.model, self.average),
        )

    def _is_due(self) -> bool:
        age = self.checkpoints.age
        due = self.workers.from_chief(lambda: age() >= self.settings.checkpoint_seconds)
        return bool(due)
