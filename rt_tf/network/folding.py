"""Scalings of channels, such as batch normalisations, taken into the kernels before them."""

import dataclasses
import math
from collections import Counter
from collections.abc import Callable

import tensorflow as tf

from rt_tf.network.graph import Graph, Node
from rt_tf.network.maps.convolution import Convolution
from rt_tf.network.maps.groups import DepthwiseConvolution, Grouped
from rt_tf.network.maps.one_row import OneRow
from rt_tf.network.maps.transposed import TransposedConvolution, TransposedVolumeConvolution
from rt_tf.network.maps.volumes import VolumeConvolution
from rt_tf.network.ops import Affine, Op, Tensor


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
        scaled = _scaled(nodes[place - 1].op, node.op) if place else None
        if scaled and readers[node.inputs[0]] == 1:
            nodes[place - 1] = nodes[place - 1]._replace(op=scaled)
            number.append(place)
            continue
        hull = node.hull and node.hull._replace(sources=tuple(number[k] for k in node.hull.sources))
        limits = node.limits and node.limits._replace(source=number[node.limits.source])
        inputs = tuple(number[k] for k in node.inputs)
        nodes.append(node._replace(inputs=inputs, hull=hull, limits=limits))
        number.append(len(nodes))
    return Graph(tuple(nodes), number[graph.output])


def _readers(graph: Graph) -> Counter[int]:
    """The number of readers of each node; the network's output has one more."""
    readers = Counter([graph.output])
    for node in graph.nodes:
        readers.update(node.inputs)
        readers.update(node.hull.sources if node.hull else [])
        readers.update([node.limits.source] if node.limits else [])
    return readers


def _scaled(op: Op, by: Op) -> Affine | None:
    """A product followed by a scaling of its output's channels, as one operation.

    None unless the operations are that: a scaling multiplies every channel by one number, and adds
    one.
    """
    if not (isinstance(op, Affine) and isinstance(by, Affine) and by.fn is tf.multiply):
        return None
    channels = _channels(op.fn, op.kernel)
    if channels is None or by.kernel.shape != [math.prod(channels)]:
        return None
    return dataclasses.replace(
        op,
        kernel=op.kernel * tf.reshape(by.kernel, channels),
        bias=by(op.bias),
        magnitude=by.absolute(op.magnitude) + by.magnitude,
    )


def _channels(fn: Callable, kernel: Tensor) -> list[int] | None:
    """The shape in which a number for each output channel multiplies a kernel, if there is one."""
    if isinstance(fn, OneRow):
        return _channels(fn.of_images, kernel)
    if isinstance(fn, DepthwiseConvolution):  # some outputs for each input channel
        return list(kernel.shape[-2:])
    if isinstance(fn, TransposedConvolution | TransposedVolumeConvolution):
        return [kernel.shape[-2], 1]
    channels_last = isinstance(fn, Convolution | Grouped | VolumeConvolution)
    return [kernel.shape[-1]] if fn is tf.matmul or channels_last else None
