"""The computations of branch and bound, compiled once for a network: arrays in, arrays out."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.bounds.beta_crown import LeafBounder, Leaves, split_nodes
from rt_tf.bounds.intermediate import Settings, full_enclosure
from rt_tf.bounds.interval import Enclosure
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.threats.region import Region


class Root(NamedTuple):
    """One example before any split.

    region_inputs: the tensors that its region is made of. enclosure: of batch 1, sound. units:
    int32 [units], those whose sign is open, among all pre-activation values; lower, upper: their
    bounds, [units].
    """

    region_inputs: tuple[Tensor, ...]
    enclosure: Enclosure
    units: np.ndarray
    lower: np.ndarray
    upper: np.ndarray


class LeafArrays(NamedTuple):
    """The fields of `LeafBounds` as arrays, and the logits at the points: [leaves, classes]."""

    margins: np.ndarray
    slopes: np.ndarray
    multipliers: np.ndarray
    scores: np.ndarray
    points: np.ndarray
    inside: np.ndarray
    logits: np.ndarray


class Bounder:
    """Bounds examples and their leaves.

    network: lowers the network. region: makes an example's region (batch 1) of tensors of this
    signature. memory: MiB that an example's enclosure may take.
    """

    def __init__(
        self,
        network: Callable[[], Graph],
        region: Callable[..., Region],
        signature: Sequence[tf.TensorSpec],
        memory: float,
    ) -> None:
        self.network = network
        self.region = region
        self.settings = Settings("adaptive", "sound", memory)
        self.nodes = split_nodes(network())
        self._compile(list(signature))

    def root(self, *region_inputs: Tensor) -> Root:
        """Encloses one example. region_inputs: tensors of the signature, [1, ...] or scalars."""
        enclosure = self._enclose(*region_inputs)
        boxes = [enclosure.boxes[i] for i in self.nodes]
        lower = np.concatenate([box.lower.numpy().ravel() for box in boxes] or [np.zeros(0)])
        upper = np.concatenate([box.upper.numpy().ravel() for box in boxes] or [np.zeros(0)])
        units = np.flatnonzero((lower < 0.0) & (upper > 0.0)).astype(np.int32)
        return Root(region_inputs, enclosure, units, lower[units], upper[units])

    def places(self, root: Root) -> np.ndarray:
        """The pre-activation node of each open unit, and its number there: int32 [units, 2]."""
        shapes = root.enclosure.shapes
        sizes = [int(np.prod(shapes[i])) for i in self.nodes]
        nodes = np.repeat(self.nodes, sizes)
        numbers = np.concatenate([np.arange(size) for size in sizes] or [np.zeros(0, int)])
        return np.stack([nodes[root.units], numbers[root.units]], axis=1).astype(np.int32)

    def slope_units(self, root: Root) -> tuple[np.ndarray, np.ndarray]:
        """The open units that each activation reads, with the root's numbers for them.

        Returns int32 [slopes, 2], (activation node, flat unit), and int32 [slopes], the root's
        units.
        """
        graph, places = self.network(), self.places(root)
        units = [
            (activation, places[k, 1], k)
            for activation in graph.activations()
            for k in np.flatnonzero(places[:, 0] == graph.nodes[activation - 1].inputs[0])
        ]
        table = np.array(units, np.int32).reshape(-1, 3)
        return table[:, :2], table[:, 2]

    def bound(self, root: Root, leaves: Leaves, steps: int) -> LeafArrays:
        """The bounds of an example's leaves after this many steps of ascent, as arrays."""
        bounds = self._judged(*self._arguments(root, leaves), tf.constant(steps))
        return LeafArrays(*(t.numpy() for t in bounds))

    def quick(self, root: Root, leaves: Leaves) -> np.ndarray:
        """Lower bounds of leaves as they are, not sound to the last digit: [leaves]."""
        return self._quickly(*self._arguments(root, leaves)).numpy()

    def _arguments(self, root: Root, leaves: Leaves) -> tuple[Any, ...]:
        numbers = Leaves(*(tf.constant(values, tf.float32) for values in leaves))
        return root.region_inputs, root.enclosure, tf.constant(root.units), numbers

    def _enclosure(self, *region_inputs: Tensor) -> Enclosure:
        return full_enclosure(self.network(), self.region(*region_inputs).outward(), self.settings)

    def _judge(self, region_inputs: Any, *arguments: Any) -> tuple[Tensor, ...]:
        *root, leaves, steps = arguments
        bounder = self._leaf_bounder(region_inputs, *root)
        bounds = bounder.bound(leaves, steps)
        inside = self.region(*region_inputs).inside(bounds.points)
        return *bounds, inside, bounder.graph(bounds.points)

    def _quick(self, region_inputs: Any, *arguments: Any) -> Tensor:
        *root, leaves = arguments
        return self._leaf_bounder(region_inputs, *root).quick(leaves)

    def _leaf_bounder(self, region_inputs: Any, enclosure: Enclosure, units: Tensor) -> LeafBounder:
        return LeafBounder(self.network(), self.region(*region_inputs), enclosure, units)

    def _compile(self, signature: list[tf.TensorSpec]) -> None:
        """Compiles the enclosure first, since the other functions' signatures hold its result."""
        self._enclose = tf.function(self._enclosure, autograph=False, input_signature=signature)
        returned = self._enclose.get_concrete_function().structured_outputs
        enclosure = tf.nest.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), returned)
        outputs = returned.boxes[self.network().output].lower.shape[1]
        numbers = tf.TensorSpec([None, None])
        leaves = Leaves(tf.TensorSpec([None, outputs]), numbers, numbers, numbers)
        arguments = [tuple(signature), enclosure, tf.TensorSpec([None], tf.int32), leaves]
        steps = tf.TensorSpec([], tf.int32)
        self._judged = tf.function(
            self._judge, autograph=False, input_signature=[*arguments, steps]
        )
        self._quickly = tf.function(self._quick, autograph=False, input_signature=arguments)
