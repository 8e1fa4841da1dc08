"""A model as layer calls in order: run as Keras does, or lowered to a graph of operations."""

import dataclasses
import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from rt_tf.domain import UNIT, Domain
from rt_tf.errors import UserError
from rt_tf.network.graph import Graph, Node
from rt_tf.network.lowering import lower
from rt_tf.network.moments import batch_statistics
from rt_tf.network.ops import Product, Tensor
from rt_tf.network.relaxations import SQUARE
from rt_tf.network.steps import Arguments, Call, Statistics, Step


class LayerCall(NamedTuple):
    """One call of a layer, and the values it reads (0 is the input; call i writes value i + 1).

    layer: it, or an operation of keras.ops. arguments: with slots for the values that are read.
    part: which of several results is written. bare: without the layer's `activation=`. block: the
    name of the model inside the traced one that the layer belongs to; empty for the traced one
    itself.
    """

    layer: keras.Operation
    inputs: tuple[int, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    arguments: Arguments = Arguments()
    part: int = 0
    bare: bool = False
    block: str = ""

    @property
    def compute_dtype(self) -> str:
        """The type in which the layer computes; an operation computes in that of its inputs."""
        is_layer = isinstance(self.layer, keras.layers.Layer)
        return self.layer.compute_dtype if is_layer else "float32"

    def run(self, inputs: Sequence[Any], **options: Any) -> Any:
        """Calls the layer as it was called, on other inputs. options: further named arguments."""
        args, kwargs = self.arguments.filled(inputs)
        return keras.tree.flatten(self.layer(*args, **{**kwargs, **options}))[self.part]

    def lower(self, statistics: Statistics | None = None) -> list[Step]:
        """The call's operations; a batch normalisation uses `statistics`, if any.

        UserError for a layer without a lowering names the block as well.
        """
        try:
            call = Call(self.input_shapes, statistics, self.bare, self.arguments, self.part)
            return lower(self.layer, call)
        except UserError as error:
            raise in_block(error, self.block) from error


def in_block(error: UserError, block: str) -> UserError:
    """A layer's error that also names the model, inside the traced one, that holds the layer."""
    return UserError(f"in the model '{block}' inside this one: {error}") if block else error


StatisticsByCall = Mapping[int, Statistics]


@dataclasses.dataclass(frozen=True)
class Wiring:
    """A model's layer calls in topological order; traced once, lowered in every computation.

    notes: a line for each difference from what the model computes, such as a softmax of its
    logits. ending: the name of what is left out at its end, or "". domain: the inputs that the
    network is about; all others are refused, or not certified. taken: the types to which the
    model, and those inside it, cast their inputs.
    """

    calls: tuple[LayerCall, ...]
    output: int
    input_shape: tuple[int, ...]
    classes: int
    notes: tuple[str, ...] = ()
    domain: Domain = UNIT
    taken: frozenset[str] = frozenset({"float32"})
    ending: str = ""

    def lower(self, statistics: StatisticsByCall | None = None) -> Graph:
        """The graph of operations at the current weights.

        statistics: of batch normalisations, by call; those without an entry use their
        moving ones.
        """
        statistics = statistics or {}
        nodes: list[Node] = []
        number = [0]  # graph number of each value
        for i, call in enumerate(self.calls):
            steps = call.lower(statistics.get(i))
            number.append(append(nodes, steps, [number[k] for k in call.inputs], call.layer.name))
        return Graph(tuple(nodes), number[self.output])

    def forward(
        self, x: Tensor, training: bool = False, statistics: StatisticsByCall | None = None
    ) -> tuple[Tensor, StatisticsByCall]:
        """Runs the Keras layers on x [batch, ...].

        Returns logits [batch, classes] and the statistics of batch normalisations by call.
        Normalisations with an entry in `statistics` use it and update nothing.
        """
        values, used = [x], dict(statistics or {})
        for i, call in enumerate(self.calls):
            inputs = [values[k] for k in call.inputs]
            values.append(_run(call, inputs, training, i, used))
        return values[self.output], used

    @property
    def float32(self) -> bool:
        """Whether every layer computes in float32."""
        return all(call.compute_dtype == "float32" for call in self.calls)

    def certifiable(self) -> "Wiring":
        """The wiring itself, to be certified; UserError for a network that is not in float32.

        All that certifies calls this: certificates are of float32's rounding, which is
        finer than half precision's. An attack has no need to.
        """
        coarse = [
            f"layer '{c.layer.name}' in {c.compute_dtype}"
            for c in self.calls
            if c.compute_dtype != "float32"
        ]
        coarse += [f"an input in {name}" for name in sorted(self.taken - {"float32"})]
        if coarse:
            raise UserError(
                "network: expected one that computes in float32, of which certificates are; "
                f"received {coarse[0]}; rt_tf.network.copying.copied(trace(network), name) is a "
                "float32 copy, to certify and to serve in its place"
            )
        return self

    @property
    def has_statistics(self) -> bool:
        """Whether any layer is a batch normalisation."""
        return any(_normalises(call.layer) for call in self.calls)


def append(nodes: list[Node], steps: list[Step], inputs: list[int], name: str) -> int:
    """Adds a layer's steps to the nodes; returns the number of the layer's output."""
    numbers = list(inputs)
    for step in steps:
        step = step.renumbered(numbers)
        nodes.append(_squared(Node(step.op, step.inputs, name, step.hull, step.limits)))
        numbers.append(len(nodes))
    return numbers[-1] if steps else numbers[0]


def _squared(node: Node) -> Node:
    """The node, as an activation where it multiplies a value by itself: these move together."""
    if isinstance(node.op, Product) and len(set(node.inputs)) == 1:
        return node._replace(op=SQUARE, inputs=node.inputs[:1])
    return node


def _normalises(layer: keras.Operation) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def _run(
    call: LayerCall, inputs: list[Tensor], training: bool, i: int, used: dict[int, Statistics]
) -> Tensor:
    """Runs one layer call; `used` gains the statistics of a batch normalisation in training."""
    if call.bare:
        return _lowered(call, inputs[0])
    if not _normalises(call.layer):
        return call.run(inputs, **({"training": training} if _trains(call.layer) else {}))
    if i not in used:
        if not (training and call.layer.trainable):
            return call.run(inputs, training=False)
        used[i] = batch_statistics(call.layer, inputs[0])
    return _lowered(call, inputs[0], used[i])


def _trains(layer: keras.Operation) -> bool:
    """Whether a layer may do something else in training."""
    is_layer = isinstance(layer, keras.layers.Layer)
    return is_layer and "training" in inspect.signature(layer.call).parameters


def _lowered(call: LayerCall, x: Tensor, statistics: Statistics | None = None) -> Tensor:
    """Runs one layer call by its operations, in float32."""
    nodes: list[Node] = []
    output = append(nodes, call.lower(statistics), [0], call.layer.name)
    value = Graph(tuple(nodes), output)(tf.cast(x, tf.float32))
    return tf.cast(value, call.compute_dtype)
