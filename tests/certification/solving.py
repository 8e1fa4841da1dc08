"""Networks, their programs and the oracle's, for the tests of the solver's rungs."""

import functools

import networks
import numpy as np
import tensorflow as tf
from oracles.matrices import read
from oracles.relaxed import Relaxation, ends_of

from rt_tf.bounds.backward import lower_bound
from rt_tf.certification.solver.examples import Example, Reader
from rt_tf.threats.linf import Linf

RADII = {
    "dense": 0.2,
    "conv_strided": 0.3,
    "batch_norm": 0.2,
    "residual": 0.05,
    "branches": 0.05,
    "linear_images": 0.1,
    "extremes": 0.05,
}
LONG = 60.0


@functools.cache
def reader_of(name: str) -> Reader:
    return Reader(networks.known(name)[1], Linf(), "lp", 64)


@functools.cache
def example_of(name: str) -> tuple[Reader, Example]:
    """A reader of a network of the table, and the program of one image."""
    reader = reader_of(name)
    image = networks.images(reader.wiring.input_shape, 1)[0]
    return reader, reader.read(image, 0, RADII[name])


@functools.cache
def oracle_of(name: str) -> Relaxation:
    """The oracle's own matrices over the same boxes."""
    reader, example = example_of(name)
    network = read(reader.graph, reader.wiring.input_shape)
    return Relaxation(network, ends_of(example.region, example.enclosure.boxes)[0])


def from_proof(reader: Reader, example: Example, proof) -> np.ndarray:
    """The sound bounds of a proof's rows, from nothing but the proof and the rule: [rows]."""
    assert proof.rule == {"intermediate": "backward", "slope": "adaptive", "shared": False}
    slopes = {}
    for i in reader.graph.activations():
        shape = reader.shapes[i]
        rows = np.full((len(proof.trees), int(np.prod(shape))), 0.5, np.float32)
        here = proof.units[:, 0] == i
        for row, tree in zip(rows, proof.trees.values(), strict=True):
            assert tree.nodes.tolist() == [[-1, -1]]
            assert tree.leaves[0].slopes.dtype == np.float16
            row[proof.units[here, 1]] = tree.leaves[0].slopes[here]
        slopes[i] = tf.constant(rows.reshape(1, -1, *shape))
    spec = np.zeros((1, len(proof.trees), reader.wiring.classes), np.float32)
    spec[0, :, example.label] = 1.0
    spec[0, range(len(proof.trees)), list(proof.trees)] = -1.0
    region, boxes = example.region.outward(), example.enclosure
    sound = lower_bound(
        reader.graph, region, tf.constant(spec), boxes, slope=slopes, arithmetic="sound"
    )
    return sound.numpy()[0]
