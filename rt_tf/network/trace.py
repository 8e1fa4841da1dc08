"""Reads a Keras model's layer calls: the only file that knows Keras's wiring."""

import dataclasses
import inspect
from typing import Any

import keras
import numpy as np

from rt_tf.domain import UNIT, Domain, Given
from rt_tf.errors import UserError
from rt_tf.network.activations import is_softmax
from rt_tf.network.keras_operations import as_layer
from rt_tf.network.wiring import LayerCall, Wiring, in_block


def trace(model: keras.Model, least_outputs: int = 2, domain: Given = UNIT) -> Wiring:
    """The wiring of a functional or Sequential model with one input and one output.

    A softmax at its end is left out, which the wiring's notes say. least_outputs: a classifier
    has two classes. domain: the inputs that the network is about, in any form that `Domain.of`
    takes. UserError for other models, for layers that no bound method can interpret, and for a
    domain of another shape than the input's.
    """
    domain = Domain.of(domain)
    _refuse_unwired(model)
    _refuse_output(model, least_outputs)
    recorder = _Recorder()
    output = recorder.follow(model, source=0)
    shape, classes = tuple(model.inputs[0].shape[1:]), model.outputs[0].shape[-1]
    _refuse_domain(model, domain)
    wiring = _to_logits(
        Wiring(tuple(recorder.calls), output, shape, classes, (), domain, recorder.taken)
    )
    wiring.lower()  # raises UserError for a layer without a lowering
    for block, *arguments in recorder.arguments:
        try:
            _refuse_arguments(*arguments)
        except UserError as error:
            raise in_block(error, block) from error
    return wiring


class _Recorder:
    """Walks Keras's graph by cloning it around the same layers and noting each call."""

    def __init__(self) -> None:
        self.calls: list[LayerCall] = []
        self.number: dict[int, int] = {}  # by id, unique while the tensors are kept alive
        self.alive: list[keras.KerasTensor] = []
        self.arguments: list[tuple[str, keras.layers.Layer, tuple, dict]] = []
        self.block = ""
        self.taken: frozenset[str] = frozenset()

    def follow(self, model: keras.Model, source: int) -> int:
        """Notes the calls of a model that reads value `source`; gives the number of its output."""
        start = keras.Input(batch_shape=model.inputs[0].shape, dtype=model.inputs[0].dtype)
        self.taken |= {model.inputs[0].dtype}
        self._note(start, source)
        clone = keras.models.clone_model(
            keras.Model(model.inputs, model.outputs),
            input_tensors=[start],
            clone_function=lambda layer: layer,
            call_function=self.record,
        )
        return self.number[id(clone.outputs[0])]

    def record(self, layer: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        if not isinstance(layer, keras.layers.Layer):
            return self.record(*as_layer(layer, args, kwargs))
        self.arguments.append((self.block, layer, args[1:], kwargs))
        result = layer(*args, **kwargs)
        takes_list = isinstance(args[0], list | tuple)
        sources = list(args[0]) if takes_list else [args[0]]
        if isinstance(layer, keras.Model):
            self._note(result, self._enter(layer, self.number[id(sources[0])]))
        else:
            self.calls.append(self._call(layer, sources, takes_list))
            self._note(result, len(self.calls))
        return result

    def _enter(self, model: keras.Model, source: int) -> int:
        """Follows a model inside the one that is being followed."""
        _refuse_unwired(model)
        _refuse_whole_numbers(model)
        outside, self.block = self.block, model.name
        try:
            return self.follow(model, source)
        finally:
            self.block = outside

    def _note(self, tensor: keras.KerasTensor, number: int) -> None:
        self.number[id(tensor)] = number
        self.alive.append(tensor)

    def _call(
        self, layer: keras.layers.Layer, sources: list[keras.KerasTensor], takes_list: bool
    ) -> LayerCall:
        inputs = tuple(self.number[id(source)] for source in sources)
        shapes = tuple(tuple(source.shape[1:]) for source in sources)
        return LayerCall(layer, inputs, shapes, takes_list, block=self.block)


def _to_logits(wiring: Wiring) -> Wiring:
    """Leaves out a softmax at the end, be it a layer or the last layer's `activation=`."""
    if not wiring.calls or wiring.output != len(wiring.calls):
        return wiring
    *before, last = wiring.calls
    name = last.layer.name
    notes = (f"layer '{name}': its final softmax is left out: bounds are of the logits",)
    if is_softmax(last.layer):
        (source,) = last.inputs
        return dataclasses.replace(wiring, calls=tuple(before), output=source, notes=notes)
    if is_softmax(getattr(last.layer, "activation", None)):
        calls = (*before, last._replace(bare=True))
        return dataclasses.replace(wiring, calls=calls, notes=notes)
    return wiring


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


def _refuse_output(model: keras.Model, least: int) -> None:
    shape = model.outputs[0].shape
    if len(shape) != 2 or shape[-1] is None or shape[-1] < least:
        raise UserError(
            f"model '{model.name}': expected logits [batch, classes] of {least} outputs or more; "
            f"received an output of shape {tuple(shape)}"
        )


def _refuse_whole_numbers(model: keras.Model) -> None:
    """Raises UserError for a model inside another that cuts off the fractions of its input."""
    if "float" not in model.inputs[0].dtype:
        raise UserError(
            f"model '{model.name}': expected an input in floating point, as it is inside another "
            f"model; received {model.inputs[0].dtype}, to which values are cut off"
        )


def _refuse_domain(model: keras.Model, domain: Domain) -> None:
    shape = tuple(model.inputs[0].shape[1:])
    if not domain.fits(shape):
        raise UserError(
            f"domain: expected numbers or arrays of the input's shape {shape}; received arrays of "
            f"{np.shape(domain.lower)} and {np.shape(domain.upper)}"
        )


def _refuse_arguments(layer: keras.layers.Layer, args: tuple, kwargs: dict) -> None:
    """Raises UserError for further arguments of a call, which can change the output.

    Such are training=True at inference, or a mask.
    """
    others = [repr(value) for value in args if value is not None]
    usual = inspect.signature(layer.call).parameters
    for name, value in kwargs.items():
        if value is not None and value is not usual[name].default:
            others.append(f"{name}={value!r}")
    if others:
        raise UserError(
            f"layer '{layer.name}': expected a call on its inputs alone; "
            f"received also {', '.join(others)}"
        )
