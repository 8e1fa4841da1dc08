"""A Keras model as a graph of operations: the only file that knows Keras's wiring."""

import dataclasses
import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.network.graph import Graph, Hull, Node
from rt_tf.network.lowering import lower
from rt_tf.network.ops import Tensor
from rt_tf.network.steps import Call, Statistics, Step


class LayerCall(NamedTuple):
    """One call of a layer: which values it reads (0 is the input; call i writes value i + 1)."""

    layer: keras.layers.Layer
    inputs: tuple[int, ...]
    input_shapes: tuple[tuple[int, ...], ...]
    takes_list: bool


StatisticsByCall = Mapping[int, Statistics]


@dataclasses.dataclass(frozen=True)
class Wiring:
    """A model's layer calls in topological order; traced once, lowered in every computation.

    notes: where what is computed differs from the model, in words.
    """

    calls: tuple[LayerCall, ...]
    output: int
    input_shape: tuple[int, ...]
    classes: int
    notes: tuple[str, ...] = ()

    def lower(self, statistics: StatisticsByCall | None = None) -> Graph:
        """Returns the graph of operations at the current weights.

        Batch normalisations use `statistics` by call where given, else their moving ones.
        """
        statistics = statistics or {}
        nodes: list[Node] = []
        number = [0]  # graph number of each value
        for i, call in enumerate(self.calls):
            steps = lower(call.layer, Call(call.input_shapes, statistics.get(i)))
            number.append(_append(nodes, steps, [number[k] for k in call.inputs], call.layer.name))
        return Graph(tuple(nodes), number[self.output])

    def forward(
        self, x: Tensor, training: bool = False, statistics: StatisticsByCall | None = None
    ) -> tuple[Tensor, StatisticsByCall]:
        """Runs the Keras layers. Returns logits and the batch normalisation statistics used.

        With `statistics` given, batch normalisations use those and update nothing.
        """
        values, used = [x], dict(statistics or {})
        for i, call in enumerate(self.calls):
            inputs = [values[k] for k in call.inputs]
            values.append(_run(call, inputs, training, i, used))
        return values[self.output], used

    @property
    def float32(self) -> bool:
        """Whether every layer computes in float32."""
        return all(call.layer.compute_dtype == "float32" for call in self.calls)

    @property
    def has_statistics(self) -> bool:
        """Whether any layer is a batch normalisation."""
        return any(_normalises(call.layer) for call in self.calls)


def trace(model: keras.Model) -> Wiring:
    """Reads the wiring of a functional or Sequential model with one input and one output.

    UserError for other models, and for layers that no bound method can interpret.
    """
    _refuse_unwired(model)
    _refuse_output(model)
    recorder = _Recorder()
    output = recorder.follow(model, source=0)
    shape, classes = tuple(model.inputs[0].shape[1:]), model.outputs[0].shape[-1]
    wiring = Wiring(tuple(recorder.calls), output, shape, classes)
    wiring.lower()  # refuses what cannot be lowered, by name
    for arguments in recorder.arguments:
        _refuse_arguments(*arguments)
    return wiring


class _Recorder:
    """Walks Keras's graph by cloning it around the same layers and noting each call."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self.number: dict[int, int] = {}  # by id, unique while the tensors are kept alive
        self.alive: list[keras.KerasTensor] = []
        self.arguments: list[tuple[keras.layers.Layer, tuple, dict]] = []

    def follow(self, model: keras.Model, source: int) -> int:
        """Notes the calls of a model that reads value `source`; returns its output's number."""
        start = keras.Input(batch_shape=model.inputs[0].shape, dtype=model.inputs[0].dtype)
        self._note(start, source)
        clone = keras.models.clone_model(
            keras.Model(model.inputs, model.outputs),
            input_tensors=[start],
            clone_function=lambda layer: layer,
            call_function=self.record,
        )
        return self.number[id(clone.outputs[0])]

    def record(self, layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        self.arguments.append((layer, args[1:], kwargs))
        result = layer(*args, **kwargs)
        takes_list = isinstance(args[0], list | tuple)
        sources = list(args[0]) if takes_list else [args[0]]
        if isinstance(layer, keras.Model):
            _refuse_unwired(layer)
            self._note(result, self.follow(layer, self.number[id(sources[0])]))
        else:
            self.calls.append(self._call(layer, sources, takes_list))
            self._note(result, len(self.calls))
        return result

    def _note(self, tensor: keras.KerasTensor, number: int) -> None:
        self.number[id(tensor)] = number
        self.alive.append(tensor)

    def _call(
        self, layer: keras.layers.Layer, sources: list[keras.KerasTensor], takes_list: bool
    ) -> LayerCall:
        if not isinstance(layer, keras.layers.Layer):
            raise UserError(
                f"operation '{layer.name}': expected a Keras layer; received a bare "
                f"keras.ops {type(layer).__name__}, which has no lowering"
            )
        inputs = tuple(self.number[id(source)] for source in sources)
        shapes = tuple(tuple(source.shape[1:]) for source in sources)
        return LayerCall(layer, inputs, shapes, takes_list)


def _refuse_unwired(model: keras.Model) -> None:
    if not hasattr(model, "inputs") or not model.inputs or model.outputs is None:
        raise UserError(
            f"model '{model.name}': expected a functional or Sequential model with a known input "
            f"shape; received {type(model).__name__}, whose layers cannot be followed"
        )
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UserError(
            f"model '{model.name}': expected one input and one output; received "
            f"{len(model.inputs)} and {len(model.outputs)}"
        )
    if None in model.inputs[0].shape[1:]:
        raise UserError(
            f"model '{model.name}': expected an input of known shape; received "
            f"{tuple(model.inputs[0].shape)}"
        )
    if not _is_plain(model):
        raise UserError(
            f"model '{model.name}': expected a functional or Sequential model's own call; received "
            f"{type(model).__name__}, which changes it, so its layers are not all it computes"
        )


def _is_plain(model: keras.Model) -> bool:
    """Whether calling a model is no more than calling its layers."""
    if isinstance(model, keras.Sequential):
        plain: type[keras.Model] = keras.Sequential
    else:
        plain = type(keras.Model(model.inputs, model.outputs))
    kind = type(model)
    return kind.call is plain.call and kind.__call__ is plain.__call__


def _refuse_output(model: keras.Model) -> None:
    shape = model.outputs[0].shape
    if len(shape) != 2 or shape[-1] is None or shape[-1] < 2:
        raise UserError(
            f"model '{model.name}': expected logits [batch, classes] of two classes or more; "
            f"received an output of shape {tuple(shape)}"
        )


def _refuse_arguments(layer: keras.layers.Layer, args: tuple, kwargs: dict) -> None:
    """An argument of a call can change what is computed: training=True at inference, a mask."""
    given = [repr(value) for value in args if value is not None]
    usual = inspect.signature(layer.call).parameters
    for name, value in kwargs.items():
        if value is not None and value is not usual[name].default:
            given.append(f"{name}={value!r}")
    if given:
        raise UserError(
            f"layer '{layer.name}': expected a call on its inputs alone; "
            f"received also {', '.join(given)}"
        )


def _append(nodes: list[Node], steps: list[Step], inputs: list[int], name: str) -> int:
    """Adds a layer's steps to the graph; returns the number of the layer's output."""
    numbers = list(inputs)
    for step in steps:
        hull = None if step.hull is None else Hull(step.hull, inputs[0])
        nodes.append(Node(step.op, tuple(numbers[k] for k in step.inputs), name, hull))
        numbers.append(len(nodes))
    return numbers[-1] if steps else numbers[0]


def _normalises(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.BatchNormalization)


def _run(
    call: LayerCall, inputs: list[Tensor], training: bool, i: int, used: dict[int, Statistics]
) -> Tensor:
    """Runs one layer call; `used` gains the statistics of a batch normalisation in training."""
    argument = inputs if call.takes_list else inputs[0]
    if not _normalises(call.layer):
        options = {"training": training} if _trains(call.layer) else {}
        return call.layer(argument, **options)
    if i in used:
        return _normalise(call, inputs[0], used[i])
    if training and call.layer.trainable:
        values = tf.cast(inputs[0], tf.float32)
        used[i] = Statistics(*tf.nn.moments(values, axes=list(range(len(values.shape) - 1))))
    return call.layer(argument, training=training)


def _trains(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.Dropout)


def _normalise(call: LayerCall, x: Tensor, statistics: Statistics) -> Tensor:
    (step,) = lower(call.layer, Call(call.input_shapes, statistics))
    return tf.cast(step.op(tf.cast(x, tf.float32)), x.dtype)
