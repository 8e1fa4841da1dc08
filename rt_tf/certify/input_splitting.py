"""A complete search for networks of few inputs: bisects the box until every part is excluded.

Many boxes are bounded at once, in sound arithmetic; a box that stays open is cut across the input
that its bound is most sensitive to. Source: Wang et al. 2018 (ReluVal, Neurify).
"""

import time
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.bounds.backward import refuse_undefined, walk_back
from rt_tf.bounds.full import Settings, full_enclosure
from rt_tf.certify.clause_graph import lowered
from rt_tf.certify.exclusion import Finding
from rt_tf.interchange.property import TINY
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.box import between
from rt_tf.threats.region import Region

MOST_INPUTS = 10
BOXES = 512  # that are bounded at once
SHARE = 0.01  # of the largest coefficient, that an input without one counts as having


class Boxes(NamedTuple):
    """Parts of the region: lower, upper [boxes, inputs]; excess, [boxes], of the bound that is
    nearest to excluding each, whose coefficients are effects [boxes, inputs]."""

    lower: np.ndarray
    upper: np.ndarray
    excess: np.ndarray
    effects: np.ndarray

    def take(self, places: np.ndarray) -> "Boxes":
        """Some of the boxes."""
        return Boxes(*(values[places] for values in self))


