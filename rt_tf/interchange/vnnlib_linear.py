"""Comparisons of a VNN-LIB formula as rows of whole numbers, with exact offsets."""

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from rt_tf.errors import UserError

MOST_DIGITS = 4000  # of a number; float64's longest has 1,075
SIGNS = {"LessEqual": (1,), "GreaterEqual": (-1,), "Equal": (1, -1)}
NUMBERS = ("Float", "Int", "IntExpr", "Literal")


class Variable(NamedTuple):
    """An input or an output by its place in the flattened tensor."""

    is_input: bool
    place: int


Weights = tuple[tuple[Variable, int], ...]  # whole, without a common factor, in order of variables


class Row(NamedTuple):
    """The constraint `sum of weight * variable <= offset`."""

    weights: Weights
    offset: Fraction


class Linear(NamedTuple):
    """The sum of `weight * variable`, and a constant."""

    weights: dict[Variable, Fraction]
    constant: Fraction


def rows(comparison: Any) -> list[Row]:
    """The rows of a comparison: `left <= right` as `left - right <= 0`, `==` as two rows.

    The constant is on the right side of a row. UserError for other comparisons and for
    expressions that are not linear.
    """
    kind = type(comparison).__name__
    if kind not in SIGNS:
        raise UserError(f"vnnlib_file: expected <=, >= or ==; received {_line(comparison)}")
    if type(comparison.lhs).__name__ == "Var" and _is_number(comparison.rhs):  # most of all rows
        variable, number = _variable(comparison.lhs), _number(comparison.rhs.lexeme)
        return [Row(((variable, s),), number if s > 0 else -number) for s in SIGNS[kind]]
    left, right = _linear(comparison.lhs), _linear(comparison.rhs)
    for variable, weight in right.weights.items():
        left.weights[variable] = left.weights.get(variable, Fraction()) - weight
    weights = {variable: weight for variable, weight in left.weights.items() if weight}
    return [_whole(weights, right.constant - left.constant, sign) for sign in SIGNS[kind]]


def _whole(weights: dict[Variable, Fraction], offset: Fraction, sign: int) -> Row:
    """The row in the least whole numbers."""
    scale = sign * Fraction(
        math.lcm(*(w.denominator for w in weights.values())),
        math.gcd(*(w.numerator for w in weights.values())) or 1,
    )
    whole = ((variable, int(weights[variable] * scale)) for variable in sorted(weights))
    return Row(tuple(whole), offset * scale)


def _linear(expression: Any) -> Linear:
    """The linear form of an expression, added part by part, so that sums may nest deeply."""
    weights: dict[Variable, Fraction] = {}
    constant = Fraction()
    parts = [(expression, Fraction(1))]
    while parts:
        part, factor = parts.pop()
        if type(part).__name__ == "Var":
            variable = _variable(part)
            weights[variable] = weights.get(variable, Fraction()) + factor
        elif _is_number(part):
            constant += factor * _number(part.lexeme)
        else:
            parts += _parts(part, factor)
    return Linear(weights, constant)


def _parts(expression: Any, factor: Fraction) -> list[tuple[Any, Fraction]]:
    """The terms of a sum or a product, each with its factor."""
    kind = type(expression).__name__
    if kind == "Multiply":
        return [_product(expression.args, factor)]
    if kind not in ("Plus", "Minus", "Negate"):
        raise UserError(f"vnnlib_file: expected linear expressions; received {_line(expression)}")
    first, *rest = expression.children()
    return [
        (first, -factor if kind == "Negate" else factor),
        *((part, factor if kind == "Plus" else -factor) for part in rest),
    ]


def _product(parts: Sequence[Any], factor: Fraction) -> tuple[Any, Fraction]:
    """The part that may have variables, and the factor times all others."""
    numbers = sum(map(_is_number, parts))
    *constants, last = sorted(parts, key=_is_open if numbers >= len(parts) - 1 else _varies)
    for part in constants:
        weights, constant = _linear(part)
        if weights:
            raise UserError(
                "vnnlib_file: expected linear expressions; received a product of variables"
            )
        factor *= constant
    return last, factor


def _is_number(expression: Any) -> bool:
    return type(expression).__name__ in NUMBERS


def _is_open(expression: Any) -> bool:
    """Whether an expression may have variables, at a glance."""
    return not _is_number(expression)


def _varies(expression: Any) -> bool:
    return bool(_linear(expression).weights)


def _line(expression: Any) -> str:
    return " ".join(str(expression).split())[:300]


def _number(lexeme: str) -> Fraction:
    if len(lexeme) > MOST_DIGITS:
        raise UserError(
            f"vnnlib_file: expected numbers of at most {MOST_DIGITS} digits; received one of "
            f"{len(lexeme)}, {lexeme[:20]}..."
        )
    return Fraction(lexeme)


def _variable(node: Any) -> Variable:
    place = 0
    for index, size in zip(node.indices, node.shape, strict=True):
        place = place * size + index
    return Variable(node.kind.name == "Input", place)
