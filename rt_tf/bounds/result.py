"""The results of bound methods, and the specifications of margins."""

from typing import NamedTuple

import tensorflow as tf

from rt_tf.network.ops import Tensor


class Box(NamedTuple):
    """Elementwise bounds: each [batch, ...]."""

    lower: Tensor
    upper: Tensor

    @property
    def centre(self) -> Tensor:
        """The points halfway between the ends: [batch, ...]."""
        return 0.5 * (self.lower + self.upper)

    @property
    def radius(self) -> Tensor:
        """Half the distances between the ends: [batch, ...]."""
        return 0.5 * (self.upper - self.lower)

    @property
    def magnitude(self) -> Tensor:
        """The largest absolute values inside: [batch, ...]."""
        return tf.maximum(tf.abs(self.lower), tf.abs(self.upper))


def cut(box: Box, by: Box) -> Box:
    """The part that two boxes share; a comparison with NaN changes nothing."""
    return Box(
        tf.where(by.lower > box.lower, by.lower, box.lower),
        tf.where(by.upper < box.upper, by.upper, box.upper),
    )


class Bounds(NamedTuple):
    """Lower bounds of `spec . f(x)` over a region, and the boxes that they were derived from.

    margins: [batch, spec]. boxes: the bounds of every node's value by node number. magnitudes:
    of the nodes whose evaluation rounds, a bound of the size of the summed terms (sound
    arithmetic). loss: [batch], an upper bound of the worst cross-entropy, of methods with a
    better one than the margins give. slopes: by activation, [batch, spec, ...], of methods that
    optimise them, if the margins follow from them alone. uncut: [batch] bool, of a method that
    computes both, whether the margins are those over layers' bounds that nothing has cut.
    """

    margins: Tensor
    boxes: dict[int, Box]
    magnitudes: dict[int, Tensor]
    loss: Tensor | None = None
    slopes: dict[int, Tensor] | None = None
    uncut: Tensor | None = None


def margin_spec(labels: Tensor, classes: int) -> Tensor:
    """The rows f_y - f_j for every j other than y: [batch, classes - 1, classes].

    labels: [batch] integers y.
    """
    own = tf.cast(labels, tf.int32)[:, tf.newaxis]
    return tf.one_hot(own, classes) - tf.one_hot(other_classes(labels, classes), classes)


def other_classes(labels: Tensor, classes: int) -> Tensor:
    """All classes but the label, in order: int32 [batch, classes - 1]. labels: [batch] integers."""
    places = tf.range(classes - 1)[tf.newaxis]
    return places + tf.cast(places >= tf.cast(labels, tf.int32)[:, tf.newaxis], tf.int32)


def certified(margins: Tensor) -> Tensor:
    """Whether every margin's lower bound, [batch, spec], is positive: [batch] bool."""
    return tf.reduce_all(margins > 0.0, axis=1)
