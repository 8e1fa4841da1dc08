"""Networks of several inputs as networks of one: a row of all their numbers, one after another."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np

from rt_tf import numbers
from rt_tf.errors import UserError


def join_inputs(network: keras.Model) -> keras.Model:
    """A network of one input [batch, numbers] that gives a network of several inputs their parts.

    The inputs stand in the order of `network.inputs`. UserError for a network without known shapes.
    """
    if any(None in start.shape[1:] for start in network.inputs):
        raise UserError(
            f"model '{network.name}': expected inputs of known shapes; received "
            f"{', '.join(str(tuple(start.shape)) for start in network.inputs)}"
        )
    sizes = _sizes(network)
    row = keras.Input((sum(sizes),), name="inputs")
    ends = np.cumsum([0, *sizes]).tolist()
    parts = [
        keras.layers.Reshape(start.shape[1:])(row[:, first:last])
        for start, first, last in zip(network.inputs, ends, ends[1:], strict=False)
    ]
    outputs = network(keras.tree.pack_sequence_as(network.input, parts))
    return keras.Model(row, outputs, name=network.name)


def joined(network: keras.Model, values: Mapping[str, Any] | Sequence[Any]) -> np.ndarray:
    """Arrays [n, ...] for each input of a network, by name or in order, as rows [n, numbers].

    UserError for other names, numbers of arrays, and shapes.
    """
    arrays = by_input(network, values, "images")
    shapes = [tuple(start.shape[1:]) for start in network.inputs]
    received = [np.shape(array) for array in arrays]
    counts = {shape[:1] for shape in received}
    if [shape[1:] for shape in received] != shapes or len(counts) != 1:
        raise UserError(
            f"images: expected as many examples of shapes {', '.join(map(str, shapes))} for the "
            f"inputs; received arrays of {', '.join(map(str, received))}"
        )
    return np.concatenate([np.reshape(array, [len(array), -1]) for array in arrays], axis=1)


def spread(network: keras.Model, values: Any, name: str, missing: float) -> np.ndarray:
    """A number, or numbers by input's name, for each number of a row: float64 [numbers].

    name: of the setting. missing: of inputs without a number.
    """
    if not isinstance(values, Mapping):
        return np.full(sum(_sizes(network)), values, np.float64)
    unknown = sorted(set(values) - set(names_of(network)))
    if unknown:
        raise UserError(
            f"{name}: expected the inputs {', '.join(names_of(network))}; received '{unknown[0]}'"
        )
    parts = [
        np.broadcast_to(np.asarray(values.get(start.name, missing), np.float64), start.shape[1:])
        for start in network.inputs
    ]
    return np.concatenate([part.ravel() for part in parts])


def names_of(network: keras.Model) -> list[str]:
    """The names of a network's inputs, in order."""
    return [start.name for start in network.inputs]


def by_input(
    network: keras.Model, values: Mapping[str, Any] | Sequence[Any], name: str
) -> list[Any]:
    """One value for each input, in order; UserError unless there is one for each."""
    names = names_of(network)
    if isinstance(values, Mapping):
        if set(values) != set(names):
            raise UserError(
                f"{name}: expected one for each of the inputs {', '.join(names)}; received "
                f"{', '.join(map(str, values))}"
            )
        return [values[each] for each in names]
    if not isinstance(values, list | tuple) or len(values) != len(names):
        raise UserError(
            f"{name}: expected one for each of the inputs {', '.join(names)}; received "
            f"{numbers.shown(values)}"
        )
    return list(values)


def _sizes(network: keras.Model) -> list[int]:
    return [math.prod(start.shape[1:]) for start in network.inputs]
