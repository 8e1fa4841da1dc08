"""Operations that sum products along axes: of two values, or of a value and constants."""

import string
from typing import Any

import keras

from rt_tf.errors import UserError
from rt_tf.network.lowerings.einsum import Equation
from rt_tf.network.lowerings.weights import product
from rt_tf.network.operations.operands import Operand, operands
from rt_tf.network.recipe import Recipe, Value
from rt_tf.network.steps import Call, Step


def matrix_product(operation: keras.Operation, call: Call) -> list[Step]:
    """The steps of products of matrices, of which there may be many side by side."""
    recipe = Recipe(call)
    one, other = operands(operation, call, recipe)
    ranks = [_rank(operand) for operand in (one, other)]
    if min(ranks) < 2 or (isinstance(one, Value) and isinstance(other, Value) and min(ranks) < 3):
        raise UserError(
            f"operation '{operation.name}': expected matrices beside the batch's axis; received "
            f"operands of {ranks[0]} and {ranks[1]} axes"
        )
    stack = string.ascii_lowercase[: max(ranks) - 2]
    left, right = (stack[len(stack) - rank + 2 :] for rank in ranks)
    return _contracted(operation, recipe, f"{left}xy,{right}yz->{stack}xz", one, other)


def einsum(operation: Any, call: Call) -> list[Step]:
    """The steps of an equation of two operands, or of one and constants.

    UserError for an ellipsis, a repeated label and other numbers of operands.
    """
    recipe = Recipe(call)
    parts = operands(operation, call, recipe)
    equation = operation.subscripts.replace(" ", "")
    terms = equation.split("->")[0].split(",")
    if (
        "." in equation
        or "->" not in equation
        or len(parts) != 2
        or any(len(set(term)) != len(term) for term in terms)
    ):
        raise UserError(
            f"operation '{operation.name}': expected an equation of two operands with its output "
            f"and without an ellipsis; received '{equation}'"
        )
    return _contracted(operation, recipe, equation, *parts)


def _contracted(
    operation: keras.Operation, recipe: Recipe, equation: str, one: Operand, other: Operand
) -> list[Step]:
    """The steps of an equation whose letters count the batch's axis."""
    if isinstance(one, Value) and isinstance(other, Value):
        return recipe.steps(_of_values(operation, recipe, equation, one, other))
    operands, output = equation.split("->")
    first, second = operands.split(",")
    value, constant = (one, other) if isinstance(one, Value) else (other, one)
    labels, factors = (first, second) if isinstance(one, Value) else (second, first)
    if labels[0] != output[:1] or labels[0] in factors:
        raise _of_batch(operation)
    equation_of_value = Equation(labels, factors, output)
    lengths = dict(zip(labels[1:], value.shape, strict=True))
    lengths |= dict(zip(factors, constant.shape, strict=True))
    op = product(equation_of_value, constant, None, equation_of_value.terms(lengths))
    shape = tuple(lengths[label] for label in output[1:])
    return recipe.steps(recipe.add(op, value, shape=shape))


def _of_values(
    operation: keras.Operation, recipe: Recipe, equation: str, one: Value, other: Value
) -> Value:
    """The sums of products of two values; the batch's letter is first everywhere."""
    operands, output = equation.split("->")
    parts = [*operands.split(","), output]
    if len({part[0] for part in parts}) != 1:
        raise _of_batch(operation)
    first, second, output = (part[1:] for part in parts)
    return recipe.contracted(f"{first},{second}->{output}", one, other)


def _of_batch(operation: keras.Operation) -> UserError:
    return UserError(
        f"operation '{operation.name}': expected products within every example, the batch's axis "
        f"first; received one that mixes examples"
    )


def _rank(operand: Operand) -> int:
    return len(operand.shape) + 1 if isinstance(operand, Value) else operand.shape.rank
