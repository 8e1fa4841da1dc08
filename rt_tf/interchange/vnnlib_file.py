"""A VNN-LIB file as properties. The `vnnlib` package parses; numbers are kept exact here."""

import itertools
import math
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from rt_tf.errors import UserError
from rt_tf.interchange.optional import needed
from rt_tf.interchange.property import LARGEST, Clause, Property
from rt_tf.interchange.vnnlib_text import as_version_2

MOST_CASES = 100_000  # of a disjunctive normal form
EXACT = 2**24  # up to which float32 holds all whole numbers


class Variable(NamedTuple):
    """An input or an output by its place in the flattened tensor."""

    is_input: bool
    place: int


class Row(NamedTuple):
    """The constraint `sum of weight * variable <= offset`."""

    weights: dict[Variable, Fraction]
    offset: Fraction


Case = list[Row]  # all at once
Linear = tuple[dict[Variable, Fraction], Fraction]
Ends = tuple[tuple[Fraction, ...], tuple[Fraction, ...]]


def read(path: Path) -> list[Property]:
    """The properties of a file: one for each box of inputs, with a clause for each case of outputs.

    A network has a counterexample to the file if it has one to any of them. UserError for what is
    not of this form.
    """
    query = _parsed(path)
    (network,) = query.networks
    inputs, outputs = math.prod(network.inputs[0].shape), math.prod(network.outputs[0].shape)
    boxes: dict[Ends, list[Clause]] = {}
    for case in _cases(query.assertions):
        box = _box(case, inputs)
        if all(low <= high for low, high in zip(*box, strict=True)):
            boxes.setdefault(box, []).append(_clause(case, outputs))
    return [Property(*ends, tuple(clauses)) for ends, clauses in boxes.items()]


def _parsed(path: Path) -> Any:
    vnnlib = needed("vnnlib")
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"vnnlib_file: expected a text file; {path}: {error}") from error
    text = as_version_2(text)
    try:
        query = vnnlib.parse_query_string(text)
    except IndexError as error:  # what std::stod throws
        raise UserError(
            f"vnnlib_file: expected numbers in float64's range; {path} has others"
        ) from error
    except vnnlib.VNNLibException as error:
        told = " ".join(str(error).split())[:300]
        raise UserError(f"vnnlib_file: expected VNN-LIB; {path} is not: {told}") from error
    networks = query.networks
    if len(networks) != 1 or len(networks[0].inputs) != 1 or len(networks[0].outputs) != 1:
        raise UserError(
            f"vnnlib_file: expected one network with one input and one output; {path} has others"
        )
    return query


def _cases(assertions: Sequence[Any]) -> Iterable[Case]:
    """The disjunctive normal form of all assertions together."""
    forms = [assertion.expr.to_dnf() for assertion in assertions]
    count = math.prod(len(form) for form in forms)
    if count > MOST_CASES:
        raise UserError(f"vnnlib_file: expected at most {MOST_CASES} cases; received {count}")
    certain = [row for form in forms if len(form) == 1 for row in _rows(form[0])]
    open_forms = [[_rows(case) for case in form] for form in forms if len(form) > 1]
    for chosen in itertools.product(*open_forms):
        yield [*certain, *itertools.chain.from_iterable(chosen)]


def _rows(comparisons: Sequence[Any]) -> Case:
    return [row for comparison in comparisons for row in _comparison(comparison)]


def _comparison(comparison: Any) -> Case:
    """`left <= right` as `left - right <= 0`, its constant on the other side."""
    kind = type(comparison).__name__
    signs = {"LessEqual": (1,), "GreaterEqual": (-1,), "Equal": (1, -1)}
    if kind not in signs:
        raise UserError(
            f"vnnlib_file: expected <=, >= or ==; received {' '.join(str(comparison).split())}"
        )
    weights, constant = _linear(comparison.lhs)
    others, other = _linear(comparison.rhs)
    weights = _added(weights, others, Fraction(-1))
    weights = {variable: weight for variable, weight in weights.items() if weight}
    return [
        Row({v: sign * weight for v, weight in weights.items()}, sign * (other - constant))
        for sign in signs[kind]
    ]


def _linear(expression: Any) -> Linear:
    """An expression as weights of variables and a constant."""
    kind = type(expression).__name__
    if kind == "Var":
        return {_variable(expression): Fraction(1)}, Fraction()
    if kind in ("Float", "Int", "IntExpr", "Literal"):
        return {}, Fraction(expression.lexeme)
    if kind == "Multiply":
        return _product([_linear(part) for part in expression.args])
    if kind in ("Plus", "Minus", "Negate"):
        return _signed_sum(kind, [_linear(part) for part in expression.children()])
    raise UserError(f"vnnlib_file: expected linear expressions; received {expression}")


def _signed_sum(kind: str, parts: list[Linear]) -> Linear:
    weights: dict[Variable, Fraction] = {}
    constant = Fraction()
    for i, (more, number) in enumerate(parts):
        sign = Fraction(-1 if kind == "Negate" or (kind == "Minus" and i > 0) else 1)
        weights = _added(weights, more, sign)
        constant += sign * number
    return weights, constant


def _product(parts: list[Linear]) -> Linear:
    """A product of which all factors but one are constants."""
    varying = [part for part in parts if part[0]]
    if len(varying) > 1:
        raise UserError("vnnlib_file: expected linear expressions; received a product of variables")
    factor = math.prod((number for more, number in parts if not more), start=Fraction(1))
    weights, constant = varying[0] if varying else ({}, Fraction(1))
    return {v: factor * weight for v, weight in weights.items()}, factor * constant


def _added(
    weights: dict[Variable, Fraction], more: dict[Variable, Fraction], factor: Fraction
) -> dict[Variable, Fraction]:
    total = dict(weights)
    for variable, weight in more.items():
        total[variable] = total.get(variable, Fraction()) + factor * weight
    return total


def _variable(node: Any) -> Variable:
    place = int(np.ravel_multi_index(tuple(node.indices), tuple(node.shape))) if node.shape else 0
    return Variable(node.kind.name == "Input", place)


def _box(case: Case, inputs: int) -> Ends:
    """The box that the rows of inputs say; UserError where they are not of that form."""
    lower: dict[int, Fraction] = {}
    upper: dict[int, Fraction] = {}
    for place, weight, offset in _input_rows(case):
        end = offset / weight
        if weight > 0:
            upper[place] = min(end, upper.get(place, end))
        else:
            lower[place] = max(end, lower.get(place, end))
    free = [f"X_{i}" for i in range(inputs) if i not in lower or i not in upper]
    if free:
        raise UserError(
            "vnnlib_file: expected a lower and an upper end of every input; received none of "
            f"{', '.join(free[:5])}"
        )
    for place, end in itertools.chain(lower.items(), upper.items()):
        _check_size(end, f"ends of X_{place}")
    return tuple(lower[i] for i in range(inputs)), tuple(upper[i] for i in range(inputs))


def _check_size(number: Fraction, owner: str) -> None:
    if abs(number) > LARGEST:
        told = Decimal(number.numerator) / number.denominator
        raise UserError(f"vnnlib_file: expected {owner} in float32's range; received {told:.4g}")


def _input_rows(case: Case) -> Iterable[tuple[int, Fraction, Fraction]]:
    """Place, weight and offset of each row of an input."""
    for weights, offset in case:
        if not any(variable.is_input for variable in weights):
            continue
        if len(weights) != 1:
            raise UserError(
                "vnnlib_file: expected constraints of inputs one by one; received one of "
                f"{len(weights)} variables"
            )
        ((variable, weight),) = weights.items()
        yield variable.place, weight, offset


def _clause(case: Case, outputs: int) -> Clause:
    """The rows of outputs, in whole numbers."""
    rows = [row for row in case if not any(variable.is_input for variable in row.weights)]
    if not rows:
        raise UserError("vnnlib_file: expected constraints of outputs; received a case without any")
    matrix = np.zeros((len(rows), outputs), np.float32)
    offsets = []
    for i, (weights, offset) in enumerate(rows):
        scale = Fraction(
            math.lcm(*(w.denominator for w in weights.values())),
            math.gcd(*(w.numerator for w in weights.values())) or 1,
        )
        for variable, weight in weights.items():
            if abs(weight * scale) > EXACT:
                raise UserError(
                    "vnnlib_file: expected weights of outputs that float32 holds; received "
                    f"{', '.join(str(float(w)) for w in weights.values())}"
                )
            matrix[i, variable.place] = float(weight * scale)
        offsets.append(offset * scale)
        _check_size(offsets[-1], "constraints of outputs, in whole numbers,")
    return Clause(matrix, tuple(offsets))
