"""Regularisers: scalars added to the loss, of the weights or of the bounds."""

import dataclasses
from collections.abc import Callable

import keras
import tensorflow as tf

from rt_tf.bounds import interval
from rt_tf.bounds.result import Box
from rt_tf.network.ops import Tensor
from rt_tf.training.objectives.batch import Batch

Boxes = Callable[[], dict[int, Box]]  # the bounds of the network's nodes, computed at the call
Regulariser = Callable[[Batch, list[keras.layers.Layer], Boxes], Tensor]


@dataclasses.dataclass(frozen=True)
class L1:
    """weight * the L1 norm of the trained layers' kernels."""

    weight: float

    def __call__(self, batch: Batch, layers: list[keras.layers.Layer], boxes: Boxes) -> Tensor:
        return self.weight * tf.add_n([tf.reduce_sum(tf.abs(k)) for k in _kernels(layers)])


@dataclasses.dataclass(frozen=True)
class L2:
    """weight / 2 * the squared L2 norm of the trained layers' kernels: weight decay by gradient."""

    weight: float

    def __call__(self, batch: Batch, layers: list[keras.layers.Layer], boxes: Boxes) -> Tensor:
        squares = [tf.reduce_sum(tf.square(k)) for k in _kernels(layers)]
        return 0.5 * self.weight * tf.add_n(squares)


@dataclasses.dataclass(frozen=True)
class ReluStability:
    """weight * the sum over units of -tanh(1 + l u): least where l and u have one sign.

    A mean over examples, by their weights. Source: Xiao et al. 2019, section 3.3.
    """

    weight: float

    def __call__(self, batch: Batch, layers: list[keras.layers.Layer], boxes: Boxes) -> Tensor:
        sums = [_by_example(-tf.tanh(1.0 + b.lower * b.upper)) for b in _inputs(batch, boxes())]
        if not sums:
            return tf.constant(0.0)
        return self.weight * batch.mean(tf.add_n(sums))


@dataclasses.dataclass(frozen=True)
class WarmUp:
    """Keeps interval widths from growing and active units balanced against inactive ones.

    weight: fades with eps / target. tolerance: the least ratio without a penalty. The ratios are of
    means over the whole batch, on however many replicas, examples counting by weight. Source: Shi
    et al. 2021, section 3.3.
    """

    weight: float
    target: float
    tolerance: float = 0.5

    def __call__(self, batch: Batch, layers: list[keras.layers.Layer], boxes: Boxes) -> Tensor:
        bounds = boxes()
        inputs = _inputs(batch, bounds)
        if not inputs:  # a network without activations has nothing to keep in balance
            return tf.constant(0.0)
        first = batch.average(bounds[0].radius)
        wide = [self._lack(_ratio(first, batch.average(box.radius))) for box in inputs]
        uneven = [self._unevenness(box, batch.average) for box in inputs]
        fading = tf.nn.relu(1.0 - tf.cast(batch.region.eps, tf.float32) / self.target)
        return self.weight * fading * (tf.add_n(wide) + tf.add_n(uneven)) / len(inputs)

    def _lack(self, ratio: Tensor) -> Tensor:
        """The amount by which a ratio falls short of the tolerance, as a share of it."""
        return tf.nn.relu(self.tolerance - ratio) / self.tolerance

    def _unevenness(self, box: Box, average: Callable[[Tensor], Tensor]) -> Tensor:
        """The imbalance of active and inactive units' centres, by their means and variances."""
        centre = box.centre
        active = tf.cast(box.lower > 0.0, centre.dtype)
        inactive = tf.cast(box.upper < 0.0, centre.dtype)
        spread = tf.square(centre - average(centre))
        means = average(active * centre), -average(inactive * centre)
        variances = average(active * spread), average(inactive * spread)
        return self._lack(_balance(*means)) + self._lack(_balance(*variances))


def interval_boxes(batch: Batch) -> dict[int, Box]:
    """The interval bounds of all nodes on the whole region."""
    return interval.enclose(batch.lower(), Box(*batch.region.box())).boxes


def _kernels(layers: list[keras.layers.Layer]) -> list[Tensor]:
    kernels = [layer.kernel for layer in layers if hasattr(layer, "kernel")]
    return [tf.convert_to_tensor(kernel) for kernel in kernels]


def _inputs(batch: Batch, boxes: dict[int, Box]) -> list[Box]:
    """The boxes of the nodes that activations read."""
    graph = batch.lower()
    read = {graph.nodes[i - 1].inputs[0] for i in graph.activations()}
    return [boxes[i] for i in sorted(read - {0})]


def _by_example(values: Tensor) -> Tensor:
    return tf.reduce_sum(values, axis=list(range(1, values.shape.rank)))


def _balance(first: Tensor, second: Tensor) -> Tensor:
    """The smaller of two numbers over the larger."""
    return tf.minimum(_ratio(first, second), _ratio(second, first))


def _ratio(first: Tensor, second: Tensor) -> Tensor:
    return tf.math.divide_no_nan(first, second)
