"""network.npz: a network for a checker that knows neither Keras nor TensorFlow (docs/proofs.md)."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np

from rt_tf.checker import network as checker_network
from rt_tf.errors import UserError
from rt_tf.files import write_bytes
from rt_tf.network.ops import Activation, Affine, Op
from rt_tf.network.relaxations import RELU
from rt_tf.network.steps import kind_of
from rt_tf.network.trace import trace
from rt_tf.network.wiring import LayerCall

L = keras.layers
Arrays = dict[str, np.ndarray]
Record = dict[str, Any]


def network_arrays(model: keras.Model) -> Arrays:
    """The arrays of network.npz, the JSON text `graph` among them.

    Nodes have the numbers that `trace(model).lower()` gives them. UserError for a layer that the
    format does not have.
    """
    wiring, number = trace(model).certifiable(), [0]
    nodes: list[Record] = []
    arrays: Arrays = {}
    for call in wiring.calls:
        numbers = [number[k] for k in call.inputs]
        records = _records(call)
        for step, record in zip(call.lower(), records, strict=True):
            nodes.append(record | {"inputs": [numbers[k] for k in step.inputs]})
            arrays |= _weights(len(nodes), record["op"], step.op)
            numbers.append(len(nodes))
        number.append(numbers[-1] if records else numbers[0])
    graph = {
        "schema": checker_network.SCHEMA,
        "input_shape": list(wiring.input_shape),
        "output": number[wiring.output],
        "nodes": nodes,
    }
    return {"graph": np.array(json.dumps(graph)), **arrays}


def network_sha256(arrays: Arrays) -> str:
    """The checksum by which proofs refer to a network."""
    return checker_network.from_arrays(arrays).sha256


def write_network(path: Path, model: keras.Model) -> str:
    """Writes network.npz, whole or not at all; returns its checksum.

    UserError for a layer that the format does not have.
    """
    arrays = network_arrays(model)
    checksum = network_sha256(arrays)
    write_bytes(path, archived(arrays))
    return checksum


def archived(arrays: Arrays) -> bytes:
    """The arrays as the bytes of a NumPy archive."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _weights(i: int, name: str, op: Op) -> Arrays:
    """The weights of node i, in float32."""
    if name not in ("dense", "conv", "scale"):
        return {}
    assert isinstance(op, Affine)
    weights = {"kernel": op.kernel, "bias": op.bias}
    if name == "scale":
        weights["magnitude"] = op.magnitude
    return {f"{i}.{key}": np.asarray(value, np.float32) for key, value in weights.items()}


def _records(call: LayerCall) -> list[Record]:
    """The format's records of the operations of a layer's call."""
    layer = call.layer
    kind = kind_of(layer, RECORDS)
    if kind is None:
        _refuse(call, type(layer).__name__)
    records = RECORDS[kind](call)
    return [*records, *_activations(call, len(records))]


def _activations(call: LayerCall, before: int) -> list[Record]:
    """The records of the layer's `activation=`, or of the activation that it is."""
    ops = [step.op for step in call.lower()[before:]]
    if any(not _is_relu(op) for op in ops):
        _refuse(call, "an activation other than ReLU")
    return [{"op": "relu"} for _ in ops]


def _is_relu(op: Op) -> bool:
    """Whether an operation is a ReLU that is neither leaky nor clipped."""
    return isinstance(op, Activation) and _function(op) == _function(RELU)


def _function(op: Activation) -> tuple[Any, Any]:
    return getattr(op.fn, "func", None), getattr(op.fn, "keywords", None)


def _refuse(call: LayerCall, received: str) -> NoReturn:
    raise UserError(
        f"proofs: layer '{call.layer.name}': expected an operation of docs/proofs.md; received "
        f"{received}"
    )


def _conv(call: LayerCall) -> list[Record]:
    layer = call.layer
    if layer.groups != 1:
        _refuse(call, f"a convolution in {layer.groups} groups")
    return [
        {
            "op": "conv",
            "strides": list(layer.strides),
            "padding": layer.padding,
            "dilations": list(layer.dilation_rate),
        }
    ]


def _average_pooling(call: LayerCall) -> list[Record]:
    layer = call.layer
    windows = {"size": list(layer.pool_size), "strides": list(layer.strides)}
    return [{"op": "average_pooling", **windows, "padding": layer.padding}]


def _global_average_pooling(call: LayerCall) -> list[Record]:
    """The record of one window over the whole image."""
    height, width, channels = call.input_shapes[0]
    whole = {"size": [height, width], "strides": [height, width], "padding": "valid"}
    shape = [1, 1, channels] if call.layer.keepdims else [channels]
    return [{"op": "average_pooling", **whole, "shape": shape}]


def _reshape(call: LayerCall) -> list[Record]:
    shape = call.layer.compute_output_shape((1, *call.input_shapes[0]))[1:]
    return [{"op": "reshape", "shape": list(shape)}]


def _add(call: LayerCall) -> list[Record]:
    if len(set(call.input_shapes)) > 1:
        _refuse(call, "a sum of several shapes")
    return [{"op": "add"}]


def _one(name: str) -> Callable[[LayerCall], list[Record]]:
    return lambda call: [{"op": name}]


RECORDS: dict[type, Callable[[LayerCall], list[Record]]] = {
    L.Activation: lambda call: [],
    L.Add: _add,
    L.AveragePooling2D: _average_pooling,
    L.BatchNormalization: _one("scale"),
    L.Conv2D: _conv,
    L.Dense: _one("dense"),
    L.Dropout: lambda call: [],
    L.Flatten: _reshape,
    L.GlobalAveragePooling2D: _global_average_pooling,
    L.Normalization: _one("scale"),
    L.ReLU: lambda call: [],
    L.Rescaling: _one("scale"),
    L.Reshape: _reshape,
    L.ZeroPadding2D: lambda call: [
        {"op": "zero_padding", "padding": [list(pair) for pair in call.layer.padding]}
    ],
}
