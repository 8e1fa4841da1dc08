"""ONNX operations as Keras layers: the one file in which an operation is added."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np

from rt_tf.errors import UserError
from rt_tf.interchange import affine_nodes, image_nodes
from rt_tf.interchange.nodes import Call, Operand, error_line, evaluated, named, settings
from rt_tf.interchange.values import Value

L = keras.layers

DOMAINS = ("", "ai.onnx")
# Operations that move values: ONNX's evaluator runs them on the values' positions.
MOVES = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")


def converted(node: Any, opsets: Mapping[str, int], operands: Sequence[Operand]) -> list[Operand]:
    """The outputs of a node. UserError names an operation without a counterpart."""
    constants = [x for x in operands if not isinstance(x, Value)]
    if len(constants) == len(operands):
        return [*evaluated(node, opsets, constants)]
    call, op = Call(node, settings(node), operands), node.op_type
    if node.domain not in DOMAINS or op not in (*OPERATIONS, *MOVES, "Shape"):
        names = ", ".join(sorted((*OPERATIONS, *MOVES)))
        raise UserError(
            f"onnx_file: expected operations among {names}; received '{op}' ({named(node)})"
        )
    if op == "Shape":
        return [*evaluated(node, opsets, [call.value().positions])]
    return [_moved(node, opsets, call) if op in MOVES else _computed(call)]


def _moved(node: Any, opsets: Mapping[str, int], call: Call) -> Value:
    value = call.value()
    rest = [x for x in call.operands[1:] if not isinstance(x, Value)]
    (positions,) = evaluated(node, opsets, [value.positions, *rest])
    return Value(value.tensor, np.asarray(positions))


def _computed(call: Call) -> Value:
    """The output of an operation's layers; UserError with the words of Keras where it refuses."""
    try:
        return OPERATIONS[call.node.op_type](call)
    except UserError:
        raise
    except (ArithmeticError, NotImplementedError, ValueError) as error:
        raise call.refusal("what has a counterpart in Keras", error_line(error)) from error


def _layer(make: Callable[[Call], keras.layers.Layer]) -> Callable[[Call], Value]:
    """An operation on every number by itself."""

    def apply(call: Call) -> Value:
        value = call.value()
        return Value(make(call)(value.tensor), value.positions)

    return apply


OPERATIONS: dict[str, Callable[[Call], Value]] = {
    "Add": affine_nodes.add,
    "AveragePool": image_nodes.average_pooling,
    "BatchNormalization": affine_nodes.batch_normalization,
    "Conv": image_nodes.convolution,
    "Div": affine_nodes.divide,
    "Dropout": lambda call: call.value()._replace(maker=None),
    "Elu": _layer(lambda call: L.ELU(call.settings.get("alpha", 1.0))),
    "Gemm": affine_nodes.gemm,
    "GlobalAveragePool": image_nodes.global_average_pooling,
    "LeakyRelu": _layer(lambda call: L.LeakyReLU(call.settings.get("alpha", 0.01))),
    "MatMul": affine_nodes.matmul,
    "MaxPool": image_nodes.max_pooling,
    "Mul": affine_nodes.multiply,
    "Relu": _layer(lambda call: L.ReLU()),
    "Sigmoid": _layer(lambda call: L.Activation("sigmoid")),
    "Sub": affine_nodes.subtract,
    "Tanh": _layer(lambda call: L.Activation("tanh")),
}
