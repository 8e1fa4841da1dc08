"""The task of an attack: its network, region, labels, loss and random numbers."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple, Self

import tensorflow as tf

from rt_tf.attacks import noise
from rt_tf.attacks.losses import Loss, cross_entropy
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

Network = Callable[[Tensor], Tensor]


class Evaluation(NamedTuple):
    """The network at a point: logits [batch, classes], loss [batch], the loss's gradient."""

    logits: Tensor
    loss: Tensor
    gradient: Tensor


@dataclasses.dataclass(frozen=True)
class Task:
    """Points of `region` are sought on which `network` errs, by raising `loss`.

    network: [batch, ...] -> logits, an example's from its own pixels alone; a `Graph` where the
    attack reads more than that. labels: [batch], the right classes. keys: [batch], the
    examples' own seeds (`noise.keys`). targets: [batch], the only classes that are errors; None
    for any other than the label. scale: of the loss, against the underflow of gradients in half
    precision.
    """

    network: Network
    region: Region
    labels: Tensor
    keys: Tensor
    loss: Loss = cross_entropy
    targets: Tensor | None = None
    scale: float = 1.0

    def logits(self, x: Tensor) -> Tensor:
        """The network's logits at x [batch, ...], in float32: [batch, classes]."""
        return tf.cast(self.network(x), tf.float32)

    def values(self, x: Tensor) -> Tensor:
        """The loss at points [batch, ...]: [batch]."""
        return self.loss(self.logits(x), self.labels, self.targets)

    def evaluate(self, x: Tensor) -> Evaluation:
        """The network, the loss and its gradient at points [batch, ...]."""
        with tf.GradientTape() as tape:
            tape.watch(x)
            logits = self.logits(x)
            loss = self.loss(logits, self.labels, self.targets)
            total = self.scale * tf.reduce_sum(loss)
        return Evaluation(logits, loss, tape.gradient(total, x))

    def errs(self, logits: Tensor) -> Tensor:
        """Whether logits [batch, classes] are a success of the attack: [batch]."""
        answer = tf.argmax(logits, axis=-1, output_type=self.labels.dtype)
        return answer != self.labels if self.targets is None else answer == self.targets

    def errs_at(self, x: Tensor) -> Tensor:
        """Whether points [batch, ...] are a success of the attack: [batch]."""
        return self.errs(self.logits(x))

    def noise(self, draw: Tensor | int) -> Tensor:
        """Numbers uniform in [0, 1), [batch, ...] like the images; other ones for every draw."""
        return noise.uniform(noise.fold(self.keys, draw), self.region.x.shape[1:].as_list())

    def chance(self, draw: Tensor | int) -> Tensor:
        """Numbers uniform in [0, 1), one for each example; other ones for every draw: [batch]."""
        return noise.uniform(noise.fold(self.keys, draw))

    def take(self, rows: Tensor) -> Self:
        """The task of some examples. rows: their numbers, [rows]."""
        return dataclasses.replace(
            self,
            region=self.region.take(rows),
            labels=tf.gather(self.labels, rows),
            keys=noise.take(self.keys, rows),
            targets=None if self.targets is None else tf.gather(self.targets, rows),
        )

    def inward(self) -> Self:
        """The task in a region whose points, computed in float32, lie strictly inside."""
        return dataclasses.replace(self, region=self.region.inward())

    def restart(self, number: Tensor | int) -> Self:
        """The task with the random numbers of another restart. number: a scalar."""
        return dataclasses.replace(self, keys=noise.fold(self.keys, number))
