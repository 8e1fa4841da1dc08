"""ONNX files of other precisions than float32, rounded to it."""

from typing import Any

import numpy as np

from rt_tf.errors import UserError
from rt_tf.interchange.loading import TYPES, array
from rt_tf.interchange.optional import needed

FLOAT32 = 1  # onnx.TensorProto.FLOAT


def coarsest(file: Any) -> str:
    """The coarsest type with fractions in which a file computes."""
    types = {tensor.data_type for tensor in _tensors(file.graph)}
    types |= {value.type.tensor_type.elem_type for value in file.graph.input}
    types |= {a.i for node in file.graph.node for a in node.attribute if _is_target(node, a)}
    order = (16, 10, FLOAT32, 11)
    return TYPES[next((number for number in order if number in types), FLOAT32)]


def in_float32(file: Any) -> Any:
    """The file with all numbers with fractions in float32, rounded to the nearest.

    UserError for numbers out of its range.
    """
    copy = type(file)()
    copy.CopyFrom(file)
    for tensor in _tensors(copy.graph):
        if tensor.data_type in TYPES:
            tensor.CopyFrom(_rounded(tensor))
    for value in [*copy.graph.input, *copy.graph.output]:
        if value.type.tensor_type.elem_type in TYPES:
            value.type.tensor_type.elem_type = FLOAT32
    del copy.graph.value_info[:]
    for node in copy.graph.node:
        for attribute in node.attribute:
            if _is_target(node, attribute) and attribute.i in TYPES:
                attribute.i = FLOAT32
    return copy


def _is_target(node: Any, attribute: Any) -> bool:
    return node.op_type == "Cast" and attribute.name == "to"


def _tensors(graph: Any) -> list[Any]:
    """All tensors of a graph: initializers, and constants among the attributes of nodes."""
    constants = [a.t for node in graph.node for a in node.attribute if a.HasField("t")]
    return [*graph.initializer, *constants]


def _rounded(tensor: Any) -> Any:
    numbers = array(tensor)
    with np.errstate(over="ignore"):
        rounded = numbers.astype(np.float32)
    if (np.isfinite(numbers.astype(np.float64)) & ~np.isfinite(rounded)).any():
        raise UserError(
            f"onnx_file: expected weights in float32's range; '{tensor.name}' has one of size "
            f"{np.abs(numbers).max():g}"
        )
    return needed("onnx.numpy_helper").from_array(rounded, tensor.name)
