"""A cascade's answer: its label, or an abstention, decided by bounds.

The members are evaluated in turn. As soon as one gives another label than the first, the cascade
abstains; else the first member that certifies its label answers with it; where none does, the
cascade abstains. So no other label is answered anywhere in a ball around an input on which it
answers (it may abstain there): of two members that answered, the earlier one has one label on both
inputs, and the later one was evaluated after it. Without the agreement this would not hold. Source:
Wong et al. 2018; Wong 2020 (thesis), algorithm 4.
"""

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from rt_tf.bounds.margin_rows import margin_rows
from rt_tf.bounds.methods import crown_ibp_bounds, interval_bounds
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region

# The bound methods by which served models certify, the cheapest first.
SERVED = {"interval": interval_bounds, "crown_ibp": crown_ibp_bounds}


class Answer(NamedTuple):
    """A cascade's answer for each example.

    label: the first member's, [batch]. margin: of the certificate, [batch]; if not above 0, it
    abstains.
    """

    label: Tensor
    margin: Tensor


def answer(labels: Sequence[Tensor], margins: Sequence[Tensor]) -> Answer:
    """A cascade's answer from the labels and margins of its members, each [batch].

    labels: the members' own. margins: lower bounds of the least margin of the first one's
    label.
    """
    agree, best = tf.ones_like(labels[0], tf.bool), tf.fill(tf.shape(margins[0]), -float("inf"))
    for label, margin in zip(labels, margins, strict=True):
        agree &= label == labels[0]
        best = tf.maximum(best, tf.where(agree, margin, -float("inf")))
    return Answer(labels[0], best)


def least_margin(
    graph: Graph, region: Region, labels: Tensor, classes: int, arithmetic: str = "fast"
) -> Tensor:
    """A lower bound of the labels' least margin, the best of the served methods': [batch].

    labels: [batch] integers.
    """
    spec = margin_rows(labels, classes)
    margins = [
        tf.reduce_min(bounds(graph, region, spec, arithmetic=arithmetic).margins, axis=1)
        for bounds in SERVED.values()
    ]
    return tf.maximum(*margins)
