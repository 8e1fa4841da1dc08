"""Reads a Keras model's layer calls: the only file that knows Keras's wiring."""

import inspect
from typing import Any

import keras
import numpy as np

from rt_tf.domain import UNIT, Domain, Given
from rt_tf.errors import UserError
from rt_tf.network.keras_operations import as_layer
from rt_tf.network.logits import of_two_classes, to_logits
from rt_tf.network.steps import Arguments, Slot
from rt_tf.network.wiring import LayerCall, Wiring, in_block

# Layers with further arguments, beside the first, that their lowerings know.
FURTHER = {
    keras.layers.Attention: ("use_causal_mask",),
    keras.layers.AdditiveAttention: ("use_causal_mask",),
    keras.layers.GroupQueryAttention: ("value", "key", "use_causal_mask"),
    keras.layers.MultiHeadAttention: ("value", "key", "use_causal_mask"),
}


def trace(model: keras.Model, logits: bool = True, domain: Given = UNIT) -> Wiring:
    """The wiring of a functional or Sequential model with one input and one output.

    logits: whether the outputs are a classifier's. If so, a softmax at the end is left out, and one
    logit becomes two, which the wiring's notes say; if not, outputs are what they are. domain: the
    inputs that the network is about, in any form that `Domain.of` takes. UserError for other
    models, for layers that no bound method can interpret, and for a domain of another shape than
    the input's.
    """
    domain = Domain.of(domain)
    _refuse_unwired(model)
    _refuse_several(model)
    _refuse_output(model)
    recorder = _Recorder()
    (output,) = recorder.follow(model, [0])
    shape, classes = tuple(model.inputs[0].shape[1:]), model.outputs[0].shape[-1]
    _refuse_domain(model, domain)
    wiring = Wiring(tuple(recorder.calls), output, shape, classes, (), domain, recorder.taken)
    if logits:
        wiring = to_logits(wiring)
        wiring = of_two_classes(wiring) if classes == 1 else wiring
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

    def follow(self, model: keras.Model, sources: list[int]) -> list[int]:
        """Notes the calls of a model that reads values `sources`; gives its outputs' numbers."""
        starts = [keras.Input(batch_shape=x.shape, dtype=x.dtype) for x in model.inputs]
        self.taken |= {x.dtype for x in model.inputs}
        for start, source in zip(starts, sources, strict=True):
            self._note(start, source)
        clone = keras.models.clone_model(
            keras.Model(model.inputs, model.outputs),
            input_tensors=starts,
            clone_function=lambda layer: layer,
            call_function=self.record,
        )
        return [self.number[id(output)] for output in clone.outputs]

    def record(self, layer: keras.Operation, *args: Any, **kwargs: Any) -> Any:
        stand_in = as_layer(layer, args, kwargs)
        if stand_in is not None:
            return self.record(*stand_in)
        if isinstance(layer, keras.layers.Layer):
            self.arguments.append((self.block, layer, args, kwargs))
        result = layer(*args, **kwargs)
        arguments, tensors = apart(args, kwargs)
        numbers = [self.number[id(tensor)] for tensor in tensors]
        if isinstance(layer, keras.Model):
            outputs = self._enter(layer, numbers)
            for output, number in zip(keras.tree.flatten(result), outputs, strict=True):
                self._note(output, number)
            return result
        shapes = tuple(tuple(tensor.shape[1:]) for tensor in tensors)
        for part, output in enumerate(keras.tree.flatten(result)):
            call = LayerCall(layer, tuple(numbers), shapes, arguments, part, block=self.block)
            self.calls.append(call)
            self._note(output, len(self.calls))
        return result

    def _enter(self, model: keras.Model, sources: list[int]) -> list[int]:
        """Follows a model inside the one that is being followed."""
        _refuse_unwired(model)
        _refuse_whole_numbers(model)
        outside, self.block = self.block, model.name
        try:
            return self.follow(model, sources)
        finally:
            self.block = outside

    def _note(self, tensor: keras.KerasTensor, number: int) -> None:
        self.number[id(tensor)] = number
        self.alive.append(tensor)


def apart(args: tuple, kwargs: dict) -> tuple[Arguments, list[keras.KerasTensor]]:
    """The arguments of a call with slots for its tensors, and the tensors."""
    tensors: list[keras.KerasTensor] = []

    def slot(leaf: Any) -> Any:
        if not isinstance(leaf, keras.KerasTensor):
            return leaf
        tensors.append(leaf)
        return Slot(len(tensors) - 1)

    return Arguments(*keras.tree.map_structure(slot, (args, kwargs))), tensors


def _refuse_unwired(model: keras.Model) -> None:
    if not hasattr(model, "inputs") or not model.inputs or model.outputs is None:
        raise UserError(
            f"model '{model.name}': expected a functional or Sequential model with a known input "
            f"shape; received {type(model).__name__}, whose layers cannot be followed"
        )
    for start in model.inputs:
        if None in start.shape[1:]:
            raise UserError(
                f"model '{model.name}': expected an input of known shape; received "
                f"{tuple(start.shape)}"
            )
    if not _is_plain(model):
        raise UserError(
            f"model '{model.name}': expected a functional or Sequential model's own call; received "
            f"{type(model).__name__}, which changes it, so its layers are not all it computes"
        )


def _refuse_several(model: keras.Model) -> None:
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise UserError(
            f"model '{model.name}': expected one input and one output; received "
            f"{len(model.inputs)} and {len(model.outputs)}"
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
    if len(shape) != 2 or shape[-1] is None:
        raise UserError(
            f"model '{model.name}': expected logits [batch, classes]; "
            f"received an output of shape {tuple(shape)}"
        )


def _refuse_whole_numbers(model: keras.Model) -> None:
    """Raises UserError for a model inside another that cuts off the fractions of its input."""
    for start in model.inputs:
        if "float" not in start.dtype:
            raise UserError(
                f"model '{model.name}': expected an input in floating point, as it is inside "
                f"another model; received {start.dtype}, to which values are cut off"
            )


def _refuse_domain(model: keras.Model, domain: Domain) -> None:
    shape = tuple(model.inputs[0].shape[1:])
    if not domain.fits(shape):
        raise UserError(
            f"domain: expected numbers or arrays of the input's shape {shape}; received arrays of "
            f"{np.shape(domain.lower)} and {np.shape(domain.upper)}"
        )


def _is_usual(value: Any, default: Any) -> bool:
    """Whether an argument says nothing: it is its default, or None in all of its parts."""
    return value is default or all(part is None for part in keras.tree.flatten(value))


def _refuse_arguments(layer: keras.layers.Layer, args: tuple, kwargs: dict) -> None:
    """Raises UserError for further arguments of a call, which can change the output.

    Such are training=True at inference, or a mask.
    """
    taken = next((names for kind, names in FURTHER.items() if isinstance(layer, kind)), ())
    usual = inspect.signature(layer.call).parameters
    named = dict(zip(usual, args, strict=False)) | kwargs
    first = next(iter(usual), "")
    others = [
        f"{name}={value!r}"
        for name, value in named.items()
        if name not in (first, *taken) and not _is_usual(value, usual[name].default)
    ]
    if others:
        raise UserError(
            f"layer '{layer.name}': expected a call on its inputs alone; "
            f"received also {', '.join(others)}"
        )
