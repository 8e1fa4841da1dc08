"""How large a VNN-LIB file and its numbers may be."""

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
    """UserError for more numbers than memory should be spent on."""
    if count > MOST_NUMBERS:
        raise UserError(f"vnnlib_file: expected at most {MOST_NUMBERS} {what}; received {count}")


def is_in_range(number: Fraction) -> bool:
    """Whether float32 has a number like it."""
    return -LARGEST <= number <= LARGEST


def check_size(number: Fraction, owner: str) -> None:
    """UserError for a number that float32 has none like."""
    if not is_in_range(number):
        told = Decimal(number.numerator) / number.denominator
        raise UserError(f"vnnlib_file: expected {owner} in float32's range; received {told:.4g}")


def check_depth(text: str) -> None:
    """UserError for expressions nested more deeply than the parser's stack holds."""
    steps = (1 if found[0] == "(" else -1 for found in PARENTHESIS.finditer(text))
    depth = max(itertools.accumulate(steps), default=0)
    if depth > MOST_DEPTH:
        raise UserError(
            f"vnnlib_file: expected parentheses nested at most {MOST_DEPTH} deep; received {depth}"
        )
