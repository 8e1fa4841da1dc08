"""The computations of branch and bound, compiled once for a network: arrays in, arrays out."""

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.bounds.full import Settings, full_enclosure
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.leaves import LeafBounder, Leaves, split_nodes
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Region, Threat


class Root(NamedTuple):
    """One example before any split.

    enclosure: of batch 1, sound. units: [units], those whose sign is open, among all
    pre-activation values; lower, upper: their bounds.
    """

    image: Tensor
    eps: Tensor
    enclosure: Enclosure
    units: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class Judged(NamedTuple):
    """`LeafBounds` as arrays, and the network's logits at the points: [leaves, classes]."""

    margins: np.ndarray
    slopes: np.ndarray
    multipliers: np.ndarray
    scores: np.ndarray
    points: np.ndarray
    inside: np.ndarray
    logits: np.ndarray


class Bounder:
    """Bounds examples and their leaves. memory: MiB that an example's enclosure may take."""

    def __init__(self, wiring: Wiring, threat: Threat, memory: float) -> None:
        self.wiring = wiring
        self.threat = threat
        self.settings = Settings("adaptive", "sound", memory)
        self.nodes = split_nodes(wiring.lower())
        self._compile()

    def root(self, image: np.ndarray, eps: float) -> Root:
        """Encloses one example."""
        example = tf.constant(image[np.newaxis], tf.float32), tf.constant(eps, tf.float32)
        enclosure = self._enclose(*example)
        boxes = [enclosure.boxes[i] for i in self.nodes]
        lower = np.concatenate([box.lower.numpy().ravel() for box in boxes] or [np.zeros(0)])
        upper = np.concatenate([box.upper.numpy().ravel() for box in boxes] or [np.zeros(0)])
        units = np.flatnonzero((lower < 0.0) & (upper > 0.0)).astype(np.int32)
        return Root(*example, enclosure, units, lower[units], upper[units])

    def places(self, root: Root) -> np.ndarray:
        """The units' pre-activation nodes and numbers there: int32 [units, 2]."""
        shapes = root.enclosure.shapes
        sizes = [int(np.prod(shapes[i])) for i in self.nodes]
        nodes = np.repeat(self.nodes, sizes)
        own = np.concatenate([np.arange(size) for size in sizes] or [np.zeros(0, int)])
        return np.stack([nodes[root.units], own[root.units]], axis=1).astype(np.int32)

    def slope_units(self, root: Root) -> tuple[np.ndarray, np.ndarray]:
        """The units of every activation: (activation node, flat unit), and which of the root's."""
        graph, places = self.wiring.lower(), self.places(root)
        found = [
            (activation, places[k, 1], k)
            for activation in graph.activations()
            for k in np.flatnonzero(places[:, 0] == graph.nodes[activation - 1].inputs[0])
        ]
        table = np.array(found, np.int32).reshape(-1, 3)
        return table[:, :2], table[:, 2]

    def bound(self, root: Root, leaves: Leaves, steps: int) -> Judged:
        """Optimises and judges leaves of an example."""
        found = self._judged(*self._given(root, leaves), tf.constant(steps))
        return Judged(*(t.numpy() for t in found))

    def quick(self, root: Root, leaves: Leaves) -> np.ndarray:
        """Lower bounds of leaves as they are, not sound to the last digit: [leaves]."""
        return self._quickly(*self._given(root, leaves)).numpy()

    def _enclosure(self, image: Tensor, eps: Tensor) -> Enclosure:
        region = Region(self.threat, image, eps).outward()
        return full_enclosure(self.wiring.lower(), region, self.settings)

    def _given(self, root: Root, leaves: Leaves) -> tuple[Any, ...]:
        numbers = Leaves(*(tf.constant(values, tf.float32) for values in leaves))
        return root.image, root.eps, root.enclosure, tf.constant(root.units), numbers

    def _judge(self, *given: Any) -> tuple[Tensor, ...]:
        *root, leaves, steps = given
        bounder = self._leaf_bounder(*root)
        found = bounder.bound(leaves, steps)
        region = Region(self.threat, root[0], root[1])
        return *found, region.inside(found.points), bounder.graph(found.points)

    def _quick(self, *given: Any) -> Tensor:
        *root, leaves = given
        return self._leaf_bounder(*root).quick(leaves)

    def _leaf_bounder(
        self, image: Tensor, eps: Tensor, enclosure: Enclosure, units: Tensor
    ) -> LeafBounder:
        region = Region(self.threat, image, eps)
        return LeafBounder(self.wiring.lower(), region, enclosure, units)

    def _compile(self) -> None:
        """The enclosure's function first, since the others' signatures hold what it returns."""
        example = [tf.TensorSpec([1, *self.wiring.input_shape]), tf.TensorSpec([])]
        self._enclose = tf.function(self._enclosure, autograph=False, input_signature=example)
        returned = self._enclose.get_concrete_function().structured_outputs
        enclosure = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), returned)
        by_unit, rows = tf.TensorSpec([None, None]), tf.TensorSpec([None, self.wiring.classes])
        leaves = Leaves(rows, by_unit, by_unit, by_unit)
        given = [*example, enclosure, tf.TensorSpec([None], tf.int32), leaves]
        steps = tf.TensorSpec([], tf.int32)
        self._judged = tf.function(self._judge, autograph=False, input_signature=[*given, steps])
        self._quickly = tf.function(self._quick, autograph=False, input_signature=given)
