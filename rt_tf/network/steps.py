"""The input and output of a lowering: a call of a layer, and the operations it becomes."""

from collections.abc import Container
from typing import NamedTuple

import keras

from rt_tf.errors import UserError
from rt_tf.network.ops import Op, Positive, Tensor

# The methods that decide what a layer computes.
COMPUTES = ("__call__", "call", "convolution_op", "_merge_function", "_moments")


class Statistics(NamedTuple):
    """Mean and variance that a batch normalisation call uses, each [channels]."""

    mean: Tensor
    variance: Tensor


class Call(NamedTuple):
    """One call of a layer: the shapes of its inputs (without batch) and its statistics, if any.

    bare: without the layer's `activation=`.
    """

    input_shapes: tuple[tuple[int, ...], ...]
    statistics: Statistics | None = None
    bare: bool = False


class Step(NamedTuple):
    """An operation within a layer; `inputs` count the layer's inputs, then the steps before.

    `hull`: the operation is the exact image of the layer's first input under this map.
    """

    op: Op
    inputs: tuple[int, ...] = (0,)
    hull: Positive | None = None


def kind_of(layer: keras.layers.Layer, classes: Container[type]) -> type | None:
    """The class among `classes` that a layer is of, or None.

    UserError for a subclass that computes something else: it must not inherit the class's
    bounds.
    """
    kind = next((ancestor for ancestor in type(layer).__mro__ if ancestor in classes), None)
    if kind is not None:
        _refuse_changed(layer, kind)
    return kind


def _refuse_changed(layer: keras.layers.Layer, kind: type) -> None:
    """Raises UserError for a layer that computes something else than its class."""
    changed = any(
        name in vars(layer) or getattr(type(layer), name, None) is not getattr(kind, name, None)
        for name in COMPUTES
    )
    if changed or getattr(layer, "quantization_mode", None):
        raise UserError(
            f"layer '{layer.name}': expected {kind.__name__}'s own unquantised computation; "
            f"received {type(layer).__name__}, which changes it, so it has no bounds"
        )


def refuse_channels_first(layer: keras.layers.Layer) -> None:
    """Raises UserError unless images are [batch, height, width, channels]."""
    if layer.data_format != "channels_last":
        raise UserError(
            f"layer '{layer.name}': expected data_format='channels_last'; "
            f"received '{layer.data_format}'"
        )
