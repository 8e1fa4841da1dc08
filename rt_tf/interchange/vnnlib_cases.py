"""The cases of a VNN-LIB formula: its disjunctive normal form, whose size is checked first."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from rt_tf.errors import UserError
from rt_tf.interchange.vnnlib_linear import Weights, rows

MOST_CASES = 100_000
MOST_ROWS = 5_000_000  # of all cases together
FEW = 256  # the most cases among which implied ones are left out

Case = dict[Weights, Fraction]  # offsets of rows, which hold all at once


class Form(NamedTuple):
    """Rows that hold in any case, and cases, of which at least one holds."""

    certain: Case
    cases: list[Case]


def conjunction(expressions: Iterable[Any]) -> Form:
    """The form of all formulas together. UserError for more cases or rows than the limits."""
    certain: Case = {}
    cases: list[Case] = [{}]
    for expression in expressions:
        form = _form(expression)
        _restrict(certain, form.certain)
        if len(form.cases) == 1:
            _restrict(certain, form.cases[0])
        else:
            cases = _product(cases, form.cases)
    return Form(certain, cases)


def _form(expression: Any) -> Form:
    kind = type(expression).__name__
    if kind == "And":
        return conjunction(expression.args)
    if kind == "Or":
        return Form({}, _disjunction(expression.args))
    case: Case = {}
    for row in rows(expression):
        _restrict(case, {row.weights: row.offset})
    return Form(case, [{}])


def _disjunction(expressions: Sequence[Any]) -> list[Case]:
    """The cases of a disjunction of formulas, none twice."""
    cases: list[Case] = []
    size = 0
    for expression in expressions:
        form = _form(expression)
        size += sum(len(form.certain) + len(case) for case in form.cases)
        _check(len(cases) + len(form.cases), size)
        cases += [both(form.certain, case) for case in form.cases]
    return _without_implied(cases)


def _product(some: list[Case], others: list[Case]) -> list[Case]:
    """The cases of some and of others in every combination."""
    lengths = [sum(map(len, cases)) for cases in (some, others)]
    size = lengths[0] * len(others) + lengths[1] * len(some)
    _check(len(some) * len(others), size)
    return _without_implied([both(one, other) for one in some for other in others])


def _check(count: int, size: int) -> None:
    if count > MOST_CASES:
        raise UserError(f"vnnlib_file: expected at most {MOST_CASES} cases; received {count}")
    if size > MOST_ROWS:
        raise UserError(
            f"vnnlib_file: expected at most {MOST_ROWS} rows in all cases; received {size}"
        )


def both(one: Case, other: Case) -> Case:
    """The rows of two cases together."""
    if not one or not other:
        return one or other
    case = dict(one)
    _restrict(case, other)
    return case


def _restrict(case: Case, more: Case) -> None:
    """Adds rows to a case; of equal weights the least offset counts."""
    for weights, offset in more.items():
        if weights not in case or offset < case[weights]:
            case[weights] = offset


def _without_implied(cases: list[Case]) -> list[Case]:
    """The cases, if few, without those that hold only where another does; the first of equal ones.

    That leaves two of the 2^n cases of `(a or b1) and (a or b2) and ...`.
    """
    if len(cases) > FEW:
        return cases
    needed: list[Case] = []
    for case in cases:
        if not any(_implies(case, other) for other in needed):
            needed = [*(other for other in needed if not _implies(other, case)), case]
    return needed


def _implies(case: Case, other: Case) -> bool:
    """Whether all rows of the other hold where the case does, row by row."""
    if len(other) > len(case):
        return False
    return all(weights in case and case[weights] <= other[weights] for weights in other)
