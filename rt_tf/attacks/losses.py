"""Losses of logits that attacks raise, larger the more wrong: [batch, classes] -> [batch].

labels: [batch], the right classes. targets: [batch]; where there are some, a loss is the larger the
nearer to these answers. Both are integers.
"""

from collections.abc import Callable

import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor

Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
SPREAD = 20.0  # between the highest and the lowest of scaled logits


def cross_entropy(logits: Tensor, labels: Tensor, targets: Tensor | None = None) -> Tensor:
    """The cross-entropy with the label; with targets, minus the one with the target."""
    if targets is None:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return -tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)


def odds(logits: Tensor, labels: Tensor, targets: Tensor | None = None) -> Tensor:
    """The log-odds against the label, or for the target, of logits scaled to a spread of `SPREAD`.

    Its gradient has the direction of the cross-entropy's at that scale, of which it is a monotone
    function, and never vanishes where the network is sure: logits times any factor are attacked
    alike. The scale is a constant to the gradient.
    """
    spread = tf.reduce_max(logits, axis=1) - tf.reduce_min(logits, axis=1)
    scaled = logits * tf.stop_gradient(tf.math.divide_no_nan(SPREAD, spread))[:, tf.newaxis]
    if targets is None:
        return tf.reduce_logsumexp(others(scaled, labels), axis=1) - _at(scaled, labels)
    return _at(scaled, targets) - tf.reduce_logsumexp(others(scaled, targets), axis=1)


def margin(logits: Tensor, labels: Tensor, targets: Tensor | None = None) -> Tensor:
    """The best other class's logit, or the target's, less the label's (Carlini & Wagner 2017)."""
    of_label = _at(logits, labels)
    return (_best_other(logits, labels) if targets is None else _at(logits, targets)) - of_label


def dlr(logits: Tensor, labels: Tensor, targets: Tensor | None = None) -> Tensor:
    """The margin over the logits' spread: unchanged when logits are shifted or scaled.

    UserError for less than three classes (four with targets). Source: Croce & Hein 2020, equations
    6 and 7.
    """
    count = 3 if targets is None else 4
    if logits.shape[-1] < count:
        raise UserError(
            f"loss: expected at least {count} classes for dlr; received {logits.shape[-1]}"
        )
    best = tf.math.top_k(logits, count).values
    low = best[:, 2] if targets is None else 0.5 * (best[:, 2] + best[:, 3])
    return tf.math.divide_no_nan(margin(logits, labels, targets), best[:, 0] - low)


def dlr_or_margin(logits: Tensor, labels: Tensor, targets: Tensor | None = None) -> Tensor:
    """The DLR loss, or the margin it is scaled from where there are too few classes."""
    least = 3 if targets is None else 4
    return (dlr if logits.shape[-1] >= least else margin)(logits, labels, targets)


def others(logits: Tensor, labels: Tensor) -> Tensor:
    """The logits [batch, classes], with the label's own made the lowest number there is."""
    is_label = tf.one_hot(labels, logits.shape[-1], on_value=True, off_value=False)
    return tf.where(is_label, logits.dtype.min, logits)


def _at(logits: Tensor, classes: Tensor) -> Tensor:
    return tf.gather(logits, classes, batch_dims=1)


def _best_other(logits: Tensor, labels: Tensor) -> Tensor:
    return tf.reduce_max(others(logits, labels), axis=1)
