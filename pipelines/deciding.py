"""Deciding a property of a network of files within a time limit."""

import time
from pathlib import Path

from rt_tf.certify.decision import Verdict, decider
from rt_tf.certify.exclusion import Search
from rt_tf.certify.input_splitting import InputSplitting
from rt_tf.certify.unit_splitting import UnitSplitting
from rt_tf.interchange import onnx_file as networks
from rt_tf.interchange import vnnlib_file as properties


class Clock:
    """Time up to a moment of `time.monotonic`."""

    def __init__(self, end: float) -> None:
        self.end = end

    def left(self) -> float:
        """Seconds that are left; negative once they are over."""
        return self.end - time.monotonic()


def decided(onnx_file: Path, vnnlib_file: Path, clock: Clock, seed: int = 0) -> Verdict:
    """The verdict on the properties of a file. UserError for files that cannot be read."""
    asked = properties.read(vnnlib_file)
    network = networks.read(onnx_file)
    return decider(network, asked, clock.left, complete_searches(), seed).decide(asked)


def complete_searches() -> dict[str, Search]:
    """What is asked in turn about clauses that the bounds leave open."""
    return {"input_splitting": InputSplitting(), "branch_and_bound": UnitSplitting()}
