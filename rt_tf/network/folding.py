"""Scalings of channels, such as batch normalisations, taken into the kernels before them."""

import dataclasses
from collections import Counter

import tensorflow as tf

from rt_tf.network.graph import Graph, Node
from rt_tf.network.groups import DepthwiseConvolution
from rt_tf.network.ops import Affine, Op


def folded(graph: Graph) -> Graph:
    """A graph of the same function with fewer operations, whose scalings are part of the kernels.

    A kernel has fewer values than the images that it is applied to. For fast arithmetic alone:
    a certificate is about the rounding of the network as it is served.
    """
    readers = _readers(graph)
    nodes: list[Node] = []
    number = [0]  # in the new graph, of each node
    for _, node in graph.numbered():
        place = number[node.inputs[0]]
        product, scaling = _product(nodes[place - 1].op if place else None), _scaling(node.op)
        if product and scaling and readers[node.inputs[0]] == 1:
            nodes[place - 1] = nodes[place - 1]._replace(op=_scaled(product, scaling))
            number.append(place)
            continue
        hull = node.hull and node.hull._replace(source=number[node.hull.source])
        inputs = tuple(number[k] for k in node.inputs)
        nodes.append(node._replace(inputs=inputs, hull=hull))
        number.append(len(nodes))
    return Graph(tuple(nodes), number[graph.output])


def _readers(graph: Graph) -> Counter[int]:
    """The number of readers of each node; the network's output has one more."""
    readers = Counter([graph.output])
    for node in graph.nodes:
        readers.update(node.inputs)
        readers.update([node.hull.source] if node.hull else [])
    return readers


def _scaling(op: Op) -> Affine | None:
    """The operation, if it multiplies every channel by one number, and adds one."""
    scales = isinstance(op, Affine) and op.fn is tf.multiply and op.kernel.shape.rank == 1
    return op if isinstance(op, Affine) and scales else None


def _product(op: Op | None) -> Affine | None:
    """The operation, if it is a product with a kernel whose last axes are the output's channels."""
    return op if isinstance(op, Affine) and op.fn is not tf.multiply else None


def _scaled(op: Affine, by: Affine) -> Affine:
    """The product followed by the scaling, as one operation."""
    by_channel = isinstance(op.fn, DepthwiseConvolution)  # some outputs for each input channel
    channels = op.kernel.shape[-2 if by_channel else -1 :]
    return dataclasses.replace(
        op,
        kernel=op.kernel * tf.reshape(by.kernel, channels),
        bias=by(op.bias),
        magnitude=by.absolute(op.magnitude) + by.magnitude,
    )
