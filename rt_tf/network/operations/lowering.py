"""The table of operations with their lowerings: the one place where an operation is added.

A lowering is a function `(operation, call) -> list of Step`. Operations are told apart by the names
of their classes, since `keras.ops` offers the functions alone.
"""

from collections.abc import Callable
from typing import Any

import keras

from rt_tf.errors import UserError
from rt_tf.network.operations import arithmetic, contracting, elementwise, moving, reducing
from rt_tf.network.steps import Call, Step

Lowering = Callable[[Any, Call], list[Step]]


def lower(operation: keras.Operation, call: Call) -> list[Step]:
    """The steps of one call of an operation; UserError names an operation without a lowering."""
    kind = type(operation)
    if kind.__name__ not in OPERATIONS or not kind.__module__.startswith("keras."):
        raise UserError(
            f"operation '{operation.name}': {kind.__name__} has no lowering, so no bounds; "
            f"expected a layer or one of the operations {', '.join(sorted(OPERATIONS))}"
        )
    return OPERATIONS[kind.__name__](operation, call)


MOVES = (
    *("Concatenate", "Copy", "DepthToSpace", "Diagonal", "ExpandDims", "Flip", "Fliplr"),
    *("GetItem", "Hstack", "Moveaxis", "Pad", "Repeat", "Reshape", "Roll"),
    *("SpaceToDepth", "Split", "Squeeze", "Stack", "Swapaxes", "Take", "Tile"),
    *("Transpose", "Tril", "Triu", "Unstack"),
)

OPERATIONS: dict[str, Lowering] = {
    **dict.fromkeys(MOVES, moving.moved),
    **dict.fromkeys(elementwise.NAMES, elementwise.function),
    "Add": arithmetic.added,
    "Amax": reducing.largest,
    "Amin": reducing.least,
    "Clip": elementwise.clipped,
    "Divide": arithmetic.divided,
    "Einsum": contracting.einsum,
    "Gelu": elementwise.gelu,
    "LogSoftmax": elementwise.log_softmax,
    "Matmul": contracting.matrix_product,
    "Max": reducing.largest,
    "Maximum": arithmetic.larger,
    "Mean": reducing.mean,
    "Min": reducing.least,
    "Minimum": arithmetic.smaller,
    "Multiply": arithmetic.multiplied,
    "Negative": arithmetic.negated,
    "Power": arithmetic.raised,
    "Softmax": elementwise.softmax,
    "Std": reducing.variance,
    "Subtract": arithmetic.subtracted,
    "Sum": reducing.summed,
    "TrueDivide": arithmetic.divided,
    "Var": reducing.variance,
}
