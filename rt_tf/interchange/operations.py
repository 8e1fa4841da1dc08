"""ONNX operations as Keras layers: the one file in which an operation is added."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

from rt_tf.errors import UserError
from rt_tf.interchange.nodes import (
    activations,
    affine,
    arithmetic,
    einsum,
    images,
    moving,
    normalising,
    pooling,
    reductions,
    resizing,
)
from rt_tf.interchange.nodes.activations import by_number, named, operation
from rt_tf.interchange.nodes.call import (
    DOMAINS,
    SHAPES,
    Call,
    Operand,
    error_line,
    evaluated,
    settings,
)
from rt_tf.interchange.nodes.moving import MOVES
from rt_tf.interchange.nodes.patterns import OWN
from rt_tf.interchange.nodes.refusals import REASONS, refuse_unknown
from rt_tf.interchange.nodes.values import Value

L = keras.layers
ops = keras.ops


def converted(node: Any, opsets: Mapping[str, int], operands: Sequence[Operand]) -> list[Operand]:
    """The outputs of a node. UserError names an operation without a counterpart."""
    constants = [x for x in operands if not isinstance(x, Value)]
    if len(constants) == len(operands):
        return [*evaluated(node, opsets, constants)]
    call = Call(node, settings(node), operands, opsets)
    if node.domain == OWN and node.op_type in OWN_OPERATIONS:
        return [OWN_OPERATIONS[node.op_type](call)]
    if node.domain not in DOMAINS or node.op_type not in (*OPERATIONS, *MOVES, *SHAPES):
        refuse_unknown(node, [*OPERATIONS, *MOVES])
    if node.op_type in SHAPES:
        return [*evaluated(node, opsets, [call.value().positions])]
    return _computed(call)


def _computed(call: Call) -> list[Operand]:
    """The outputs of an operation's layers; UserError with the words of Keras where it refuses."""
    try:
        return [*moving.moves(call)] if call.node.op_type in MOVES else [_only(call)]
    except UserError:
        raise
    except (ArithmeticError, LookupError, NotImplementedError, TypeError, ValueError) as error:
        raise call.refusal("what has a counterpart in Keras", error_line(error)) from error


def _only(call: Call) -> Operand:
    return OPERATIONS[call.node.op_type](call)


OPERATIONS: dict[str, Callable[[Call], Operand]] = {
    "Abs": operation(ops.abs),
    "Add": arithmetic.add,
    "AveragePool": pooling.average_pooling,
    "BatchNormalization": affine.batch_normalization,
    "Cast": moving.cast,
    "CastLike": moving.cast,
    "Celu": activations.celu,
    "Clip": activations.clip,
    "Concat": moving.concatenation,
    "Conv": images.convolution,
    "ConvTranspose": images.transposed_convolution,
    "Cos": operation(ops.cos),
    "CumSum": moving.running_sum,
    "Div": arithmetic.divide,
    "Dropout": lambda call: call.value()._replace(maker=None),
    "Einsum": einsum.einsum,
    "Elu": by_number(lambda call: L.ELU(call.settings.get("alpha", 1.0))),
    "Erf": operation(ops.erf),
    "Exp": operation(ops.exp),
    "Gelu": activations.gelu,
    "Gemm": affine.gemm,
    "GlobalAveragePool": reductions.over_images(ops.mean),
    "GlobalMaxPool": reductions.over_images(ops.max),
    "GroupNormalization": normalising.group_normalization,
    "HardSigmoid": activations.hard_sigmoid,
    "HardSwish": named("hard_silu"),
    "InstanceNormalization": normalising.instance_normalization,
    "LayerNormalization": normalising.layer_normalization,
    "LeakyRelu": activations.leaky_relu,
    "Log": operation(ops.log),
    "LogSoftmax": normalising.softmax,
    "MatMul": affine.matmul,
    "Max": arithmetic.extreme(L.Maximum, ops.maximum),
    "MaxPool": pooling.max_pooling,
    "Mean": arithmetic.mean,
    "Min": arithmetic.extreme(L.Minimum, ops.minimum),
    "Mish": named("mish"),
    "Mul": arithmetic.multiply,
    "Neg": activations.negation,
    "PRelu": activations.prelu,
    "Pad": moving.padding,
    "Pow": arithmetic.power,
    "Reciprocal": operation(ops.reciprocal),
    "ReduceL1": reductions.sum_of(ops.abs),
    "ReduceL2": reductions.sum_of(ops.square, ops.sqrt),
    "ReduceLogSumExp": reductions.sum_of(ops.exp, ops.log),
    "ReduceMax": reductions.reduction(ops.max),
    "ReduceMean": reductions.reduction(ops.mean),
    "ReduceMin": reductions.minimum,
    "ReduceSum": reductions.reduction(ops.sum),
    "ReduceSumSquare": reductions.sum_of(ops.square),
    "Relu": by_number(lambda call: L.ReLU()),
    "Resize": resizing.resizing,
    "Selu": activations.selu,
    "Sigmoid": named("sigmoid"),
    "Sin": operation(ops.sin),
    "Softmax": normalising.softmax,
    "Softplus": named("softplus"),
    "Softsign": named("softsign"),
    "Sqrt": operation(ops.sqrt),
    "Sub": arithmetic.subtract,
    "Sum": arithmetic.summation,
    "Swish": activations.swish,
    "Tanh": named("tanh"),
    "Trilu": arithmetic.triangle,
    "Where": arithmetic.where,
}
OWN_OPERATIONS: dict[str, Callable[[Call], Operand]] = {
    "LogSigmoid": named("log_sigmoid"),
    "Rsqrt": operation(ops.rsqrt),
}

# Names that stand as they are; others may be functions of these, which ONNX defines.
KNOWN = (*OPERATIONS, *MOVES, *SHAPES, *(name for names in REASONS.values() for name in names))
