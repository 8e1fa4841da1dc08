"""network.npz: a network for a checker that knows neither Keras nor TensorFlow (docs/proofs.md)."""

import io
import json
from pathlib import Path
from typing import NoReturn

import keras
import numpy as np
import tensorflow as tf

from rt_tf.checker import network as checker_network
from rt_tf.errors import UserError
from rt_tf.files import write_bytes
from rt_tf.network.graph import Node
from rt_tf.network.trace import trace
from rt_tf.proofs.records import Arrays, entry_of


def network_arrays(model: keras.Model) -> Arrays:
    """The arrays of network.npz, the JSON text `graph` among them.

    Nodes have the numbers that `trace(model).lower()` gives them. UserError for an operation that
    the format does not have.
    """
    wiring = trace(model).certifiable()
    graph, nodes = wiring.lower(), []
    arrays: Arrays = {}
    values = [tf.zeros([1, *wiring.input_shape])]
    for i, node in graph.numbered():
        inputs = [values[k] for k in node.inputs]
        values.append(node.op(*inputs))
        shapes = [tuple(value.shape[1:]) for value in inputs]
        entry = entry_of(node.op, shapes, tuple(values[i].shape[1:]))
        if entry is None:
            _refuse(node)
        nodes.append(entry.record | {"inputs": list(node.inputs)})
        arrays |= {f"{i}.{name}": array for name, array in entry.arrays.items()}
    record = {
        "schema": checker_network.SCHEMA,
        "input_shape": list(wiring.input_shape),
        "output": graph.output,
        "nodes": nodes,
    }
    return {"graph": np.array(json.dumps(record)), **arrays}


def network_sha256(arrays: Arrays) -> str:
    """The checksum by which proofs refer to a network."""
    return checker_network.from_arrays(arrays).sha256


def write_network(path: Path, model: keras.Model) -> str:
    """Writes network.npz, whole or not at all; returns its checksum.

    UserError for an operation that the format does not have.
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


def _refuse(node: Node) -> NoReturn:
    raise UserError(
        f"proofs: layer '{node.name}': expected an operation of docs/proofs.md; received "
        f"a kind of {type(node.op).__name__.lower()} operation that it does not have"
    )
