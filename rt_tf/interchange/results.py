"""Answers in the form of VNN-COMP's result files."""

import decimal
from fractions import Fraction

import numpy as np

DIGITS = 200  # more than any float32 number has


def text(answer: str, point: tuple[Fraction, ...] = (), outputs: np.ndarray | None = None) -> str:
    """A result file: the answer, and the assignment of a counterexample in exact decimals.

    outputs: [outputs], of the counterexample.
    """
    if outputs is None:
        return f"{answer}\n"
    values = [f"(X_{i} {_decimal(value)})" for i, value in enumerate(point)]
    exact = [Fraction(float(value)) for value in outputs]
    values += [f"(Y_{i} {_decimal(value)})" for i, value in enumerate(exact)]
    assignment = "\n".join(values)
    return f"{answer}\n({assignment})\n"


def _decimal(number: Fraction) -> str:
    with decimal.localcontext(prec=DIGITS):
        quotient = decimal.Decimal(number.numerator) / decimal.Decimal(number.denominator)
    return format(quotient, "f")
