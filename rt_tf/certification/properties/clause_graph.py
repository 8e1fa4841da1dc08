"""A clause as a classification: two outputs on top of a network's own, of which the larger wins.

Of the two, 0 and the largest excess of a row over its offset, the second is larger wherever the
clause does not hold. So what proves a label proves that a clause never holds. The maximum is made
of ReLUs: their slopes weigh the rows against each other, their signs say which row is larger, so
that splits decide clauses that no row excludes alone.
"""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import tensorflow as tf

from rt_tf.interchange.property import LARGEST, TINY, rounded
from rt_tf.network.graph import Graph, Node
from rt_tf.network.lowerings.maxima import maxima
from rt_tf.network.ops import Affine, Tensor
from rt_tf.network.steps import Step
from rt_tf.network.wiring import append

LABEL, CLASSES = 1, 2


def clause_graph(graph: Graph, rows: Tensor, offsets: Tensor) -> Graph:
    """The network with the outputs 0 and max_i (rows_i . y - offsets_i), y being its own outputs.

    rows: [rows, outputs]; offsets: [rows], from `raised`.
    """
    count, outputs = rows.shape
    excess = Affine(tf.matmul, tf.transpose(rows), -offsets, outputs, count, tf.abs(offsets))
    zeros = tf.zeros([CLASSES])
    beside_zero = Affine(tf.matmul, tf.constant([[0.0, 1.0]]), zeros, 1, CLASSES, zeros)
    steps = maxima([Step(excess)], count)
    nodes: list[Node] = list(graph.nodes)
    output = append(nodes, [*steps, Step(beside_zero, (len(steps),))], [graph.output], "clause")
    return Graph(tuple(nodes), output)


def raised(offsets: Sequence[Fraction]) -> np.ndarray:
    """The least float32 numbers not below the offsets, infinite where there are none: [offsets]."""
    numbers = np.array([_raised(offset) for offset in offsets], np.float32)
    numbers[(numbers > 0) & (numbers < TINY)] = TINY  # which would be flushed to 0
    numbers[(numbers < 0) & (numbers > -TINY)] = 0.0
    return numbers


def lowered(offsets: Sequence[Fraction]) -> np.ndarray:
    """The largest float32 numbers not above the offsets: [offsets].

    A float32 number is above both the offset and this, or above neither.
    """
    return -np.array([_raised(-offset) for offset in offsets], np.float32)


def _raised(offset: Fraction) -> np.float32:
    if offset > LARGEST:
        return np.float32(np.inf)
    return rounded(max(offset, -LARGEST), 1)
