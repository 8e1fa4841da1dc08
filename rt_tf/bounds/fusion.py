"""Loss fusion: the worst-case cross-entropy as one specification instead of one per class."""

import tensorflow as tf

from rt_tf.bounds.backward import lower_bound
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.margin_rows import MarginRows, Rows
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region


def fused_loss(
    graph: Graph, region: Region, spec: Rows, enclosure: Enclosure, least: Tensor, most: Tensor
) -> Tensor:
    """An upper bound of `log(1 + sum_j exp(-m_j))`, m = spec . f(x), over the region: [batch].

    spec: [batch, spec, classes], or the margins of many classes. least, most: bounds of m, [batch,
    spec]. Between them exp lies under its chord, and the sum of the chords is one linear function
    of f, bounded in one pass of one row. Source: Xu et al. 2020 (LiRPA), section 3.3.
    """
    low, high = -most, -least  # of -m_j, the exponents
    shift = tf.stop_gradient(tf.maximum(tf.reduce_max(high, axis=1, keepdims=True), 0.0))
    foot, top = tf.exp(low - shift), tf.exp(high - shift)
    wide = high - low > 1e-6
    chord = tf.where(wide, (top - foot) / tf.where(wide, high - low, 1.0), foot)
    row = _combined(spec, chord)
    fused = lower_bound(graph, region, row, enclosure)[:, 0]
    shift = shift[:, 0]
    total = tf.exp(-shift) + tf.reduce_sum(top - chord * high, axis=1) - fused
    # Never worse than the ends: nor below what log can take where the region is a point.
    ends = tf.exp(-shift) + tf.reduce_sum(top, axis=1)
    return shift + tf.math.log(tf.maximum(tf.minimum(total, ends), tf.exp(-shift)))


def _combined(spec: Rows, weights: Tensor) -> Tensor:
    """The sum of rows by weights [batch, spec]: [batch, 1, classes]."""
    if isinstance(spec, MarginRows):
        return spec.combined(weights)
    return tf.reduce_sum(weights[..., tf.newaxis] * spec, axis=1, keepdims=True)
