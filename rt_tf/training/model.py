"""RobustModel: a Keras model whose training step minimises an `Objective`."""

from typing import Any

import keras
import tensorflow as tf

from rt_tf.attacks import noise
from rt_tf.bounds.methods import interval_bounds
from rt_tf.bounds.result import certified, margin_spec
from rt_tf.domain import UNIT, Domain
from rt_tf.network.ops import Tensor
from rt_tf.network.trace import trace
from rt_tf.threats.region import Region
from rt_tf.training.batch import Draws
from rt_tf.training.objective import Objective, Outcome


class RobustModel(keras.Model):
    """Wraps a functional network (inputs in a domain to logits) for robust training.

    Use it with `compile(optimizer, objective=...)` and `fit`, assigning `eps` and `kappa` yourself,
    or through `rt_tf.training.loop`, which drives their schedules, phases and checkpoints.
    """

    def __init__(
        self, network: keras.Model, seed: int = 0, domain: Any = UNIT, **options: Any
    ) -> None:
        super().__init__(**options)
        self.network = network
        self.wiring = trace(network, domain=Domain.of(domain))
        self.seed = seed
        self.phase = 0
        self.eps = self._setting("eps")
        self.kappa = self._setting("kappa")
        self.objective: Objective | None = None
        self.clip_norm = 0.0
        self.moves = self._moves()
        self.built = True

    def _setting(self, name: str) -> keras.Variable:
        return keras.Variable(0.0, dtype="float32", trainable=False, name=name)

    def _moves(self) -> tf.Variable:
        """Where the attack of the last step led, for all its examples on every replica."""
        shape = self.network.input_shape[1:]
        return tf.Variable(
            tf.zeros([0, *shape]),
            shape=[None, *shape],
            trainable=False,
            aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
        )

    def compile(
        self, optimizer: Any, objective: Objective, clip_norm: float = 0.0, **options: Any
    ) -> None:
        """Sets what `train_step` minimises; other options as in Keras.

        clip_norm: the global norm that gradients are clipped at, over all replicas; 0 for none.
        """
        super().compile(optimizer=optimizer, **options)
        self.objective = objective
        self.clip_norm = clip_norm
        if not self.optimizer.built:
            self.optimizer.build(self.network.trainable_variables)

    def call(self, x: Tensor, training: bool = False) -> Tensor:
        """Logits."""
        return self.network(x, training=training)

    def train_step(self, data: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """One step on `(images, labels, ...)`; returns the objective's terms."""
        x, labels = data[:2]
        variables = self._trained_variables()
        with tf.GradientTape() as tape:
            terms, point, learn = self._outcome(x, labels, tape)
            loss = self.optimizer.scale_loss(terms.loss / _replicas())
        gradients, at_point = tape.gradient(loss, [variables, point if learn else []])
        if learn is not None:
            learn(at_point)
        self.optimizer.apply(self._whole_gradients(gradients), variables)
        return terms._asdict()

    def test_step(self, data: tuple[Tensor, ...]) -> dict[str, Tensor]:
        """Clean accuracy, and accuracy verified by interval bounds at the current eps."""
        x, labels = data[:2]
        graph = self.wiring.lower()
        right = tf.argmax(graph(x), axis=-1) == tf.cast(labels, tf.int64)
        spec = margin_spec(labels, self.wiring.classes)
        region = Region(self._objective().threat, x, self._read(self.eps), self.wiring.domain)
        verified = certified(interval_bounds(graph, region, spec).margins)
        return {"accuracy": _mean(right), "verified": _mean(verified)}

    def _whole_gradients(self, gradients: list[Tensor]) -> list[Tensor]:
        """The same gradients on every replica, clipped, such that the optimizer's sum is right.

        Keras clips, and looks for infinities, before it sums over replicas: too early for both.
        """
        if _replicas() > 1:
            context = tf.distribute.get_replica_context()
            gradients = context.all_reduce(tf.distribute.ReduceOp.SUM, gradients)
        if self.clip_norm:
            scale = self.optimizer.scale_loss(tf.constant(1.0))
            gradients, _ = tf.clip_by_global_norm(gradients, self.clip_norm * scale)
        return [gradient / _replicas() for gradient in gradients] if _replicas() > 1 else gradients

    def _trained_variables(self) -> list[keras.Variable]:
        layers = self._objective().trained(self.wiring)
        trained = {id(weight) for layer in layers for weight in layer.trainable_variables}
        return [weight for weight in self.network.trainable_variables if id(weight) in trained]

    def _outcome(self, x: Tensor, labels: Tensor, tape: tf.GradientTape) -> Outcome:
        return self._objective()(
            self.wiring,
            x,
            labels,
            self._read(self.eps),
            self._read(self.kappa),
            Draws(lambda: self._keys(labels), self._seed, lambda: self._last(x), self._keep),
            tape,
        )

    def _keys(self, labels: Tensor) -> Tensor:
        """Keyed on the examples' places in the whole batch, whatever the number of replicas."""
        rows = tf.shape(labels)[0]
        first = tf.distribute.get_replica_context().replica_id_in_sync_group * rows
        return noise.keys(self._seed(), first + tf.range(rows))

    def _last(self, x: Tensor) -> Tensor:
        """This replica's rows of the last step's moves; zeros where there are none."""
        rows, rank = tf.shape(x)[0], tf.distribute.get_replica_context().replica_id_in_sync_group
        moves = tf.concat([tf.convert_to_tensor(self.moves), *[tf.zeros_like(x)] * _replicas()], 0)
        return tf.ensure_shape(moves[rank * rows :][:rows], x.shape)

    def _keep(self, moves: Tensor) -> None:
        if _replicas() > 1:
            moves = tf.distribute.get_replica_context().all_gather(moves, axis=0)
        self.moves.assign(moves)

    def _seed(self) -> Tensor:
        """This step's own: [2]."""
        step = tf.cast(self.optimizer.iterations.value, tf.int64)
        return tf.random.fold_in(tf.constant([self.seed, self.phase], tf.int64), step)

    def _objective(self) -> Objective:
        if self.objective is None:
            raise ValueError("expected compile(optimizer, objective=...) before training")
        return self.objective

    def _read(self, setting: keras.Variable) -> Tensor:
        return tf.convert_to_tensor(setting)


def _replicas() -> int:
    return tf.distribute.get_strategy().num_replicas_in_sync


def _mean(values: Tensor) -> Tensor:
    return tf.reduce_mean(tf.cast(values, tf.float32))
