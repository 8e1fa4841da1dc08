"""Limits of the size of a VNN-LIB file and of its numbers."""

import itertools
import re
from decimal import Decimal
from fractions import Fraction

from rt_tf.errors import UserError
from rt_tf.interchange.property import LARGEST

MOST_NUMBERS = 20_000_000  # of all boxes' ends, and of all clauses' weights
MOST_DEPTH = 10_000  # of parentheses; the parser's stack holds two to ten times as many
PARENTHESIS = re.compile(r"[()]")


def check_count(what: str, count: int) -> None:
    """Raises UserError for more numbers than memory should be spent on."""
    if count > MOST_NUMBERS:
        raise UserError(f"vnnlib_file: expected at most {MOST_NUMBERS} {what}; received {count}")


def is_in_range(number: Fraction) -> bool:
    """Whether a number is in float32's range."""
    return -LARGEST <= number <= LARGEST


def check_size(number: Fraction, owner: str) -> None:
    """Raises UserError for a number out of float32's range."""
    if not is_in_range(number):
        decimal = Decimal(number.numerator) / number.denominator
        raise UserError(f"vnnlib_file: expected {owner} in float32's range; received {decimal:.4g}")


def check_depth(text: str) -> None:
    """Raises UserError for expressions nested more deeply than the parser's stack holds."""
    steps = (1 if match[0] == "(" else -1 for match in PARENTHESIS.finditer(text))
    depth = max(itertools.accumulate(steps), default=0)
    if depth > MOST_DEPTH:
        raise UserError(
            f"vnnlib_file: expected parentheses nested at most {MOST_DEPTH} deep; received {depth}"
        )
