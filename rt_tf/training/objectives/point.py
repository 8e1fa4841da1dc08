"""Point terms: the loss at one point of each example's region, and the search for that point."""

import dataclasses
from collections.abc import Callable
from typing import ClassVar, NamedTuple, Protocol

import tensorflow as tf

from rt_tf.attacks.gradient.latent import image_symbols, latent_attack
from rt_tf.attacks.gradient.union import by_part
from rt_tf.attacks.judging import Attack, Start
from rt_tf.attacks.losses import Loss
from rt_tf.attacks.starts import uniform
from rt_tf.bounds.latent import latent_region
from rt_tf.errors import UserError
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import Wiring
from rt_tf.training.objectives.batch import Batch


class Point(NamedTuple):
    """The result of a point term.

    x: the points, [batch, ...]. logits: of the network there, [batch, classes]. loss: the term, a
    scalar. learn: takes the loss's gradient at x once it is computed, where the step's one backward
    pass serves the attack too.
    """

    x: Tensor
    logits: Tensor
    loss: Tensor
    learn: Callable[[Tensor], None] | None = None


class PointTerm(Protocol):
    """The interface of point terms.

    needs_clean: whether the term reads the logits of the clean pass.
    """

    @property
    def needs_clean(self) -> bool: ...

    def __call__(self, batch: Batch, tape: tf.GradientTape) -> Point:
        """The term on a batch; the points of an attack are constants to the tape."""

    def frozen(self, wiring: Wiring) -> set[str]:
        """The names of the layers that are not trained."""


class _AllLayers:
    """A point term that trains every layer."""

    def frozen(self, wiring: Wiring) -> set[str]:
        return set()


class Clean(_AllLayers):
    """The loss at the images themselves."""

    needs_clean: ClassVar[bool] = True

    def __call__(self, batch: Batch, tape: tf.GradientTape) -> Point:
        assert batch.clean is not None
        return Point(batch.region.x, batch.clean, batch.mean_loss(batch.clean))


@dataclasses.dataclass(frozen=True)
class Attacked(_AllLayers):
    """The loss where an attack ends (Madry et al. 2018).

    start: None for the attack's end on the batch before. raises: the loss that the attack raises;
    None for the cross-entropy.
    """

    attack: Attack
    start: Start | None = uniform
    raises: Loss | None = None
    needs_clean: ClassVar[bool] = False

    def __call__(self, batch: Batch, tape: tf.GradientTape) -> Point:
        x = _attack_end(batch, tape, self.attack, self.start, self.raises or batch.loss)
        logits = batch.logits(x)
        return Point(x, logits, batch.mean_loss(logits))


@dataclasses.dataclass(frozen=True)
class EachPart(_AllLayers):
    """The mean loss where attacks in each part of a union end (PGD-aug).

    Source: Wong 2020 (thesis), equation 5.32.
    """

    attack: Attack
    start: Start = uniform
    needs_clean: ClassVar[bool] = False

    def __call__(self, batch: Batch, tape: tf.GradientTape) -> Point:
        with tape.stop_recording():
            tasks = by_part(batch.task(batch.loss))
            points = [self.attack(task, self.start(task)) for task in tasks]
        logits = [batch.logits(x) for x in points]
        losses = tf.stack([batch.loss(at_point, batch.labels, None) for at_point in logits], axis=1)
        worst = tf.argmax(losses, axis=1)  # the part whose point is returned
        x, shown = (
            tf.gather(tf.stack(parts, axis=1), worst, batch_dims=1) for parts in (points, logits)
        )
        return Point(x, shown, batch.mean(tf.reduce_mean(losses, axis=1)))


@dataclasses.dataclass(frozen=True)
class Trades(_AllLayers):
    """The loss at the images, and beta times how far an attack moves the probabilities from theirs.

    `CE(f(x)) + beta KL(f(x) || f(x'))`. Source: Zhang et al. 2019 (TRADES), equation 5.
    """

    attack: Attack
    beta: float
    start: Start | None = uniform
    needs_clean: ClassVar[bool] = True

    def __call__(self, batch: Batch, tape: tf.GradientTape) -> Point:
        clean = batch.clean
        assert clean is not None

        def moved(logits: Tensor, labels: Tensor, targets: Tensor | None = None) -> Tensor:
            return divergence(clean, logits)

        x = _attack_end(batch, tape, self.attack, self.start, moved)
        logits = batch.logits(x)
        apart = batch.mean(divergence(clean, logits))
        return Point(x, logits, batch.mean_loss(clean) + self.beta * apart)


class Free(_AllLayers):
    """The loss where the attack is by now; the step's own backward pass moves it on, by eps.

    Source: Wong 2020 (thesis), algorithm 6.
    """

    needs_clean: ClassVar[bool] = False

    def __call__(self, batch: Batch, tape: tf.GradientTape) -> Point:
        region, draws = batch.region.inward(), batch.draws
        x = region.project(region.x + draws.last())
        tape.watch(x)
        logits = batch.logits(x)

        def learn(gradient: Tensor) -> None:
            # A step of mixed precision whose gradient overflows is skipped, and so is this move.
            gradient = tf.where(tf.math.is_finite(gradient), gradient, 0.0)
            step = region.step(x, gradient, region.radius(), batch.task(batch.loss).chance(1))
            draws.keep(region.project(x + step) - region.x)

        return Point(x, logits, batch.mean_loss(logits), learn)


@dataclasses.dataclass(frozen=True)
class Latent:
    """The loss where an attack within a hidden layer's bounds ends; layers up to it are frozen.

    layer: the number of activation layers below the latent region; 0 for the input. signs,
    random_start: with signs and from the image itself, layer 0 is PGD. Source: Balunovic & Vechev
    2020 (COLT), algorithm 1.
    """

    layer: int
    steps: int
    step_size: float = 0.0
    signs: bool = False
    random_start: bool = True
    needs_clean: ClassVar[bool] = False

    def __call__(self, batch: Batch, tape: tf.GradientTape) -> Point:
        node = cut(batch.lower(), self.layer)
        with tape.stop_recording():
            latent = latent_region(batch.lower(), batch.region.inward(), node)
            task = batch.task(batch.loss)
            start = None if self.random_start else image_symbols(latent, batch.region.x)
            end = latent_attack(task, latent, self.steps, self.step_size, start, self.signs)
        logits = batch.lower().split(node)(end.value)
        return Point(batch.region.x, logits, batch.mean_loss(logits))

    def frozen(self, wiring: Wiring) -> set[str]:
        graph = wiring.lower()
        return {graph.nodes[i - 1].name for i in graph.ancestors(cut(graph, self.layer))}


def cut(graph: Graph, layer: int) -> int:
    """The node after `layer` activation layers, which splits the graph.

    UserError for too large a number, and for a layer that others bypass.
    """
    names = list(dict.fromkeys(graph.nodes[i - 1].name for i in graph.activations()))
    if not 0 <= layer <= len(names):
        raise UserError(
            f"latent_layer: expected 0 to {len(names)}, the network's activation layers; "
            f"received {layer}"
        )
    if layer == 0:
        return 0
    node = max(i for i, node in graph.numbered() if node.name == names[layer - 1])
    try:
        graph.split(node)
    except ValueError as error:
        raise UserError(
            f"latent_layer: expected a layer that all others are above or below; "
            f"received {layer}: {error}"
        ) from error
    return node


def divergence(logits: Tensor, others: Tensor) -> Tensor:
    """KL(p || q) of the probabilities that logits [batch, classes] stand for: [batch]."""
    log_p, log_q = tf.nn.log_softmax(logits), tf.nn.log_softmax(others)
    return tf.reduce_sum(tf.exp(log_p) * (log_p - log_q), axis=-1)


def _attack_end(
    batch: Batch, tape: tf.GradientTape, attack: Attack, start: Start | None, loss: Loss
) -> Tensor:
    """The point where an attack ends, [batch, ...], a constant to the tape."""
    with tape.stop_recording():
        task = batch.task(loss)
        if start is not None:
            return attack(task, start(task))
        region = task.inward().region
        x = attack(task, region.project(region.x + batch.draws.last()))
        batch.draws.keep(x - region.x)
        return x
