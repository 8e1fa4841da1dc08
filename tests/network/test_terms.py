"""The numbers of products that operations claim to sum, which the price of rounding rests on."""

import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.network.ops import Affine, Positive


def shapes(graph, shape) -> dict[int, list[int]]:
    """The shapes of every node's value for one input."""
    values = {0: tf.zeros([1, *shape])}
    for i, node in graph.numbered():
        values[i] = node.op(*(values[k] for k in node.inputs))
    return {i: value.shape[1:].as_list() for i, value in values.items()}


def is_summed(op, sources) -> np.ndarray:
    """Which values of all inputs which outputs are sums of: [inputs, outputs]."""
    rows = []
    for k in range(len(sources)):
        size = int(np.prod(sources[k]))
        values = [tf.zeros([size, *shape]) for shape in sources]
        values[k] = tf.reshape(tf.eye(size), [size, *sources[k]])
        rows.append(np.reshape(op.linear(*values), [size, -1]) != 0.0)
    return np.concatenate(rows)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_terms_are_no_fewer_than_what_is_summed(name):
    _, wiring = networks.known(name)
    graph = wiring.lower()
    sizes = shapes(graph, wiring.input_shape)
    for i, node in graph.numbered():
        if isinstance(node.op, Affine | Positive):
            summed = is_summed(node.op, [sizes[k] for k in node.inputs])
            outputs, inputs = summed.sum(axis=0).max(), summed.sum(axis=1).max()
            if isinstance(node.op, Affine):
                assert node.op.terms >= outputs, i
                assert node.op.transposed_terms >= inputs, i
            else:
                assert node.op.terms >= max(outputs, inputs), i
