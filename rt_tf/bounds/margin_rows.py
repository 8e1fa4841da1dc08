"""The margins of a label over all other classes, as rows that need no matrix."""

from typing import NamedTuple

import tensorflow as tf

from rt_tf.bounds import rounding
from rt_tf.bounds.result import Box, margin_spec, other_classes
from rt_tf.network.ops import Tensor

MANY = 128  # classes from which on the last layer is not composed with the rows


class MarginRows(NamedTuple):
    """The rows f_y - f_j for every j other than y, of many classes. labels: [batch] integers y.

    As a matrix they are [batch, classes - 1, classes], and composed with a layer of n inputs
    [batch, classes - 1, n]. Everything here is of the size [batch, classes].
    """

    labels: Tensor
    classes: int

    def matrix(self) -> Tensor:
        """The rows as a matrix: [batch, classes - 1, classes]."""
        return margin_spec(self.labels, self.classes)

    def between(self, logits: Box, sound: bool = False) -> Box:
        """The bounds of the rows' values that the logits' own bounds give: [batch, classes - 1].

        logits: each end [batch, classes]. sound: whether the difference's rounding widens them.
        """
        least = self._own(logits.lower) - self._others(logits.upper)
        most = self._own(logits.upper) - self._others(logits.lower)
        if not sound:
            return Box(least, most)
        return Box(rounding.away(least, -1.0), rounding.away(most, 1.0))

    def combined(self, weights: Tensor) -> Tensor:
        """The sum of the rows by weights [batch, classes - 1]: [batch, 1, classes]."""
        places = tf.range(self.classes)[tf.newaxis]
        label = self._label
        among_others = places - tf.cast(places > label, tf.int32)
        row = tf.gather(weights, tf.minimum(among_others, self.classes - 2), batch_dims=1)
        total = tf.reduce_sum(weights, axis=1, keepdims=True)
        return tf.where(places == label, total, -row)[:, tf.newaxis]

    @property
    def _label(self) -> Tensor:
        """The label of each example: int32 [batch, 1]."""
        return tf.cast(self.labels, tf.int32)[:, tf.newaxis]

    def _own(self, values: Tensor) -> Tensor:
        """The label's value of each example: [batch, classes] -> [batch, 1]."""
        return tf.gather(values, self._label, batch_dims=1)

    def _others(self, values: Tensor) -> Tensor:
        """The values of all classes but the label: [batch, classes] -> [batch, classes - 1]."""
        return tf.gather(values, other_classes(self.labels, self.classes), batch_dims=1)


Rows = Tensor | MarginRows


def margin_rows(labels: Tensor, classes: int) -> Rows:
    """The rows f_y - f_j for every j other than y: a matrix, or what stands for that of many.

    labels: [batch] integers y.
    """
    return MarginRows(labels, classes) if classes > MANY else margin_spec(labels, classes)


def matrix(rows: Rows) -> Tensor:
    """Rows as a matrix: [batch, rows, classes]."""
    return rows.matrix() if isinstance(rows, MarginRows) else rows
