"""A VNN-LIB formula as cases: its disjunctive normal form, bounded before it is made."""

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from rt_tf.errors import UserError
from rt_tf.interchange.vnnlib_linear import Weights, rows

MOST_CASES = 100_000
MOST_ROWS = 5_000_000  # of all cases together
FEW = 256  # cases, up to which those are left out that others imply

Case = dict[Weights, Fraction]  # offsets of rows, which hold all at once


class Form(NamedTuple):
    """Rows that hold in any case, and the cases, in one of which the others are."""

    certain: Case
    cases: list[Case]


def conjunction(expressions: Iterable[Any]) -> Form:
    """All of some formulas together. UserError for more cases than can be looked at."""
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
    """The cases of any one of some formulas, none twice."""
    cases: list[Case] = []
    size = 0
    for expression in expressions:
        form = _form(expression)
        size += sum(len(form.certain) + len(case) for case in form.cases)
        _check(len(cases) + len(form.cases), size)
        cases += [both(form.certain, case) for case in form.cases]
    return _without_implied(cases)


def _product(some: list[Case], others: list[Case]) -> list[Case]:
    """Every one of some cases together with every one of others."""
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
    """Adds rows to a case; of equal weights the least offset is what counts."""
    for weights, offset in more.items():
        if weights not in case or offset < case[weights]:
            case[weights] = offset


def _without_implied(cases: list[Case]) -> list[Case]:
    """Without cases that hold only where another does, if there are few; the first of equal ones.

    So does `(a or b1) and (a or b2) and ...`, which has 2^n cases, keep two.
    """
    if len(cases) > FEW:
        return cases
    kept: list[Case] = []
    for case in cases:
        if not any(_implies(case, other) for other in kept):
            kept = [*(other for other in kept if not _implies(other, case)), case]
    return kept


def _implies(case: Case, other: Case) -> bool:
    """Whether all rows of the other hold where the case does, row by row."""
    if len(other) > len(case):
        return False
    return all(weights in case and case[weights] <= other[weights] for weights in other)
