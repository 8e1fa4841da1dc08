"""The decision on a property of a network in files, within a time limit."""

import time
from pathlib import Path

import numpy as np

from rt_tf.certification.properties.decision import VnnAnswer, decider
from rt_tf.certification.properties.searches import complete_searches
from rt_tf.interchange import onnx_file as networks
from rt_tf.interchange import vnnlib_file as properties
from rt_tf.interchange.parity import Comparer
from rt_tf.interchange.property import Property


class Clock:
    """Time up to a moment of `time.monotonic`."""

    def __init__(self, end: float) -> None:
        self.end = end

    def left(self) -> float:
        """Seconds that are left; negative once they are over."""
        return self.end - time.monotonic()


def decided(onnx_file: Path, vnnlib_file: Path, clock: Clock, seed: int = 0) -> VnnAnswer:
    """The verdict on the properties of a file, for the network of another.

    UserError for files that cannot be read, and if the network as read computes other outputs than
    its file on inputs of the property.
    """
    cases = properties.read(vnnlib_file)
    network = networks.read(onnx_file)
    prepared = decider(network, cases, clock.left, complete_searches(), seed)
    if cases:
        _compare(network, cases[0])
    return prepared.decide(cases)


def _compare(network: networks.OnnxNetwork, property_: Property) -> None:
    """Raises UserError if the network as read and its file differ on inputs of a property."""
    lower, upper = property_.inner()
    inputs = np.stack([lower, 0.5 * lower + 0.5 * upper, upper])
    comparer = Comparer(network.model, network.original())
    comparer.compare(network.laid(inputs), "inputs of the property")
