"""RobustModel: a Keras model whose training step minimises an `Objective`."""

import warnings
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rt_tf import numbers, replicas
from rt_tf.bounds.margin_rows import margin_rows
from rt_tf.bounds.methods import interval_bounds
from rt_tf.bounds.result import certified
from rt_tf.domain import UNIT, Domain, Given
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.network.trace import trace
from rt_tf.threats.region import Region
from rt_tf.training import compile_checks, data_checks, dials, draws, intake, moves
from rt_tf.training.dials import Dial, Dials
from rt_tf.training.gradients import of_batch as gradients_of_batch
from rt_tf.training.intake import Examples
from rt_tf.training.objectives import recipe
from rt_tf.training.objectives.batch import Draws
from rt_tf.training.objectives.objective import Objective, Outcome, Terms
from rt_tf.training.refusing import RefusingModel


@keras.saving.register_keras_serializable("rt_tf")
class RobustModel(RefusingModel):
    """Wraps a functional network (inputs in a domain to logits) for robust training.

    Use it as any Keras model: `compile(optimizer, objective=..., eps=..., kappa=...)`, `fit`,
    `evaluate`, `save`; a `Schedule` among the callbacks moves eps and kappa. The loop of
    `rt_tf.training.loop.loop` drives its `step` through schedules, phases and checkpoints.

    Metrics, over an epoch and weighted by examples: the objective's `Terms`; the metrics of
    `compile`, of the logits of the images themselves; and, in tests, `verified`: by interval
    bounds, at the present eps.
    """

    def __init__(
        self, network: keras.Model, seed: int = 0, domain: Given = UNIT, **options: Any
    ) -> None:
        super().__init__(**options)
        self.network = network
        self.wiring = trace(network, domain=domain)
        self.seed = numbers.whole("seed", seed)
        self.phase = 0
        self._dials = Dials()
        self.objective: Objective | None = None
        self.clip_norm = 0.0
        self.moves = moves.empty(network.input_shape[1:])
        self.terms = [keras.metrics.Mean(name) for name in Terms._fields if name != "loss"]
        self.verified = keras.metrics.Mean("verified")
        self._absent: set[str] = set()
        self.built = True
        compile_checks.refuse_activity_losses(self.wiring.calls)

    @property
    def eps(self) -> Dial:
        """The radius, a variable that is no weight; `assign` refuses what is out of range."""
        return self._dials.eps

    @property
    def kappa(self) -> Dial:
        """The share of the bound term, a variable that is no weight, as eps is."""
        return self._dials.kappa

    @property
    def bounded(self) -> bool:
        """Whether the objective has a bound term, whose share kappa is."""
        return self.objective is not None and self.objective.bound is not None

    def compile(
        self,
        optimizer: Any,
        objective: Objective,
        eps: float | None = None,
        kappa: float | None = None,
        clip_norm: float = 0.0,
        metrics: Sequence[Any] | None = ("accuracy",),
        jit_compile: bool | str = "auto",
        **options: Any,
    ) -> None:
        """Sets the objective that `train_step` minimises; other options as in Keras.

        eps: the radius. kappa: the share of the bound term. None leaves them as they are: to a
        `Schedule`, or as they were set before. clip_norm: the global norm at which gradients are
        clipped, over all replicas; 0 for none. metrics: of the logits of the images themselves,
        which take a pass through the network unless the objective has one. jit_compile: whether XLA
        compiles the step; "auto" for no. UserError for a loss, since the objective is the loss, and
        for values out of range.
        """
        compile_checks.refuse_losses(options)
        compile_checks.refuse_names(
            metrics=metrics, weighted_metrics=options.get("weighted_metrics")
        )
        compile_checks.check_settings(objective, eps, kappa)
        clip_norm = numbers.at_least_0("clip_norm", clip_norm)
        jit = jit_compile is True
        if jit and replicas.count() > 1:
            raise UserError("jit_compile: expected False with several replicas; received True")
        # Keras would compile the checks of a batch, too, and XLA leaves assertions out.
        super().compile(optimizer, metrics=metrics or None, jit_compile=False, **options)
        self.objective = objective
        self.clip_norm = clip_norm
        self._measures = bool(metrics or options.get("weighted_metrics"))
        verifies = objective.threat.has_support
        self._absent = objective.absent(self.wiring) | (set() if verifies else {"verified"})
        self._jit = jit and not self.run_eagerly
        for variable, value in ((self.eps, eps), (self.kappa, kappa)):
            if value is not None:
                variable.assign(value)
        if not self.optimizer.built:
            self.optimizer.build(self.network.trainable_variables)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """The network's output: logits, unless it ends in a softmax. x: [batch, ...]."""
        return self.network(x, training=training)

    def get_config(self) -> dict[str, Any]:
        """The configuration from which `from_config` makes a model."""
        network = keras.saving.serialize_keras_object(self.network)
        settings = {"network": network, "seed": self.seed, "domain": self.wiring.domain.config()}
        return {**super().get_config(), **settings}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> "RobustModel":
        """A new model of a configuration."""
        network = keras.saving.deserialize_keras_object(config["network"], custom_objects)
        domain = Domain.from_config(config["domain"])
        return cls(**{**config, "network": network, "domain": domain})

    def get_compile_config(self) -> dict[str, Any] | None:
        """The arguments of `compile`; None, with a warning, if an objective cannot be saved."""
        if self.objective is None:
            return None
        try:
            objective = recipe.recipe(self.objective)
        except UserError as error:
            warnings.warn(f"saved without its training: {error}", stacklevel=2)
            return None
        config = super().get_compile_config()
        for name in ("loss", "loss_weights"):
            config.pop(name)
        return {
            **config,
            "objective": objective,
            "eps": self.eps.current,
            "kappa": self.kappa.current if self.bounded else None,
            "clip_norm": self.clip_norm,
            "jit_compile": self._jit,
        }

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compiles with the arguments that `get_compile_config` returned."""
        objective = recipe.build(config["objective"])
        others = {name: value for name, value in config.items() if name != "objective"}
        self.compile(objective=objective, **keras.saving.deserialize_keras_object(others))

    def save_own_variables(self, store: Any) -> None:
        """Writes the last attack's moves; eps and kappa are saved with the objective."""
        store["moves"] = tf.convert_to_tensor(self.moves).numpy()

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote.

        Older files have eps and kappa here: a model without values takes them.
        """
        self.moves.assign(store["moves"][...])
        for name in dials.NAMES:
            dial = getattr(self, name)
            if name in store and dial.current is None and np.isfinite(store[name][...]):
                dial.assign(store[name][...])

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The metrics to report: of the terms, those that the objective has."""
        absent = self._absent if self.tests else {*self._absent, "verified"}
        return [metric for metric in super().metrics if metric.name not in absent]

    def train_step(self, data: Any) -> dict[str, Tensor]:
        """Takes one step; returns the epoch's metrics so far, scalars by name.

        data: `(images, labels)` or `(images, labels, weights)`: [batch, ...], [batch], [batch].
        """
        examples = self._checked(data)
        terms, logits = self._compiled(self._learn)(examples)
        return self._report(terms._asdict(), examples, logits)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        """Evaluates the objective at inference; the epoch's metrics so far, scalars by name.

        data: `(images, labels)` or `(images, labels, weights)`: [batch, ...], [batch], [batch].
        """
        examples = self._checked(data)
        values, logits = self._compiled(self._judge)(examples)
        return self._report(values, examples, logits)

    def step(self, x: Tensor, labels: Tensor, weights: Tensor | None = None) -> Terms:
        """Takes one step, without metrics, and returns the terms on this replica's examples.

        x: [batch, ...]. labels: [batch]. weights: of the examples, [batch]; None for one each.
        """
        data = (x, labels) if weights is None else (x, labels, weights)
        return self._learn(self._checked(data), measure=False)[0]

    def outcome(
        self,
        x: Tensor,
        labels: Tensor,
        tape: tf.GradientTape,
        weights: Tensor | None = None,
        training: bool = True,
    ) -> Outcome:
        """The objective on a batch at the present eps, kappa and step, without learning from it.

        x: [batch, ...]. labels, weights: [batch]. tape: watches the point of training. training:
        whether layers behave as in training. UserError without an objective.
        """
        return self._objective()(
            self.wiring,
            x,
            labels,
            tf.convert_to_tensor(self.eps),
            tf.convert_to_tensor(self.kappa),
            self.draws(x, labels, training),
            tape,
            weights,
            training,
        )

    def draws(self, x: Tensor, labels: Tensor, training: bool = True) -> Draws:
        """The random numbers of the present step on a batch: x [batch, ...], labels [batch]."""
        return draws.of_batch(self._seed, self.moves, x, labels, training)

    def check_arguments(self, arguments: dict[str, Any]) -> None:
        """Raises UserError for arguments of `fit` and the like that Keras cannot read, or ignores.

        arguments: by name, as the method of Keras has them.
        """
        self._objective()
        data_checks.refuse_unread(arguments, self.wiring.classes)

    def _checked(self, data: Any) -> Examples:
        """The examples of a batch, checked here for `fit`, `evaluate` and the loop alike.

        eps and kappa are checked, too: outside of what XLA compiles, as it leaves assertions out.
        """
        examples, settings = intake.examples(data, self.wiring), self._settings()
        with tf.control_dependencies(settings):
            return examples._replace(x=tf.identity(examples.x))

    def _settings(self) -> list[Tensor]:
        """eps and kappa, as far as the objective reads them, after assertions on them."""
        eps = intake.setting("eps", tf.convert_to_tensor(self.eps))
        if not self.bounded:
            return [eps]
        kappa = intake.setting("kappa", tf.convert_to_tensor(self.kappa))
        return [eps, intake.whole(kappa) if self._objective().bound_only else kappa]

    def _compiled(self, function: Any) -> Any:
        return tf.function(function, autograph=False, jit_compile=True) if self._jit else function

    def _learn(self, examples: Examples, measure: bool = True) -> tuple[Terms, Tensor | None]:
        """Takes a step; the terms and, if metrics are measured, the logits before it."""
        variables = self._trained_variables()
        share = replicas.share(_rows(examples))
        with tf.GradientTape() as tape:
            outcome = self.outcome(examples.x, examples.labels, tape, examples.weights)
            loss = self.optimizer.scale_loss(outcome.terms.loss * share)
        logits = self._clean(outcome, examples) if measure else None
        learn = outcome.learn
        gradients, at_point = tape.gradient(loss, [variables, outcome.point if learn else []])
        if learn is not None:
            learn(at_point)
        self.optimizer.apply(
            gradients_of_batch(gradients, self.optimizer, self.clip_norm), variables
        )
        return outcome.terms, logits

    def _judge(self, examples: Examples) -> tuple[dict[str, Tensor], Tensor | None]:
        """The terms and the verified share at inference; the logits if metrics are measured."""
        x, labels, weights = examples
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            outcome = self.outcome(x, labels, tape, weights, training=False)
        values = outcome.terms._asdict()
        threat = self._objective().threat
        if threat.has_support:
            spec = margin_rows(labels, self.wiring.classes)
            region = Region(threat, x, tf.convert_to_tensor(self.eps), self.wiring.domain)
            margins = interval_bounds(self.wiring.lower(), region, spec).margins
            values["verified"] = tf.reduce_mean(tf.cast(certified(margins), tf.float32))
        return values, self._clean(outcome, examples)

    def _clean(self, outcome: Outcome, examples: Examples) -> Tensor | None:
        """The images' logits, [batch, classes], from the objective's clean pass if it had one."""
        if not self._measures or outcome.clean is not None:
            return outcome.clean
        return tf.cast(self.wiring.forward(examples.x)[0], tf.float32)

    def _report(
        self, values: dict[str, Tensor], examples: Examples, logits: Tensor | None
    ) -> dict[str, Tensor]:
        """Updates the metrics by a batch and returns their values so far."""
        for metric in self.metrics:
            if metric.name in values:
                metric.update_state(values[metric.name], sample_weight=_rows(examples))
        if not self._measures:
            return self.get_metrics_result()
        return self.compute_metrics(examples.x, examples.labels, logits, examples.weights)

    def _trained_variables(self) -> list[keras.Variable]:
        layers = self._objective().trained(self.wiring)
        trained = {id(weight) for layer in layers for weight in layer.trainable_variables}
        return [weight for weight in self.network.trainable_variables if id(weight) in trained]

    def _seed(self) -> Tensor:
        """The seed of the present step: [2]."""
        return draws.seed_of_step(self.seed, self.phase, self.optimizer.iterations.value)

    def _objective(self) -> Objective:
        if self.objective is None:
            raise UserError("objective: expected one in compile, before training; received none")
        return self.objective


def _rows(examples: Examples) -> Tensor:
    return tf.shape(examples.labels)[0]
