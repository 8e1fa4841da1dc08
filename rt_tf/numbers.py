"""Numbers in users' settings: their checks, and the errors for other values."""

import math
from typing import Any

import numpy as np

from rt_tf.errors import UserError

LARGEST = float(np.finfo(np.float32).max)
LEAST = float(np.finfo(np.float32).smallest_subnormal)  # above 0
_NO_NUMBERS = "bcmMSU"  # NumPy's kinds: truth values, complex numbers, times and texts


def number(value: Any) -> float | None:
    """The number that a value is; None for texts, truth values, several numbers, and others."""
    try:
        array = np.asarray(value)
        return None if array.ndim or array.dtype.kind in _NO_NUMBERS else float(array)
    except (ArithmeticError, TypeError, ValueError):
        return None


def between(name: str, value: Any, least: float, most: float, expected: str) -> float:
    """The number of a setting; UserError for a value that is none, or is out of range.

    It is judged as float32, in which it is used: 1e39 is infinite, and rounding is forgiven.
    """
    parsed = number(value)
    with np.errstate(over="ignore"):
        if parsed is None or not least <= np.float32(parsed) <= most:
            raise UserError(f"{name}: expected {expected}; received {shown(value)}")
    return parsed


def finite(name: str, value: Any) -> float:
    """The finite number of a setting; UserError for other values."""
    return between(name, value, -LARGEST, LARGEST, "a finite number")


def at_least_0(name: str, value: Any) -> float:
    """The finite number, at least 0, of a setting; UserError for other values."""
    return between(name, value, 0.0, LARGEST, "a number of at least 0")


def above_0(name: str, value: Any) -> float:
    """The finite number, above 0, of a setting; UserError for other values."""
    return between(name, value, LEAST, LARGEST, "a number > 0")


def whole(name: str, value: Any, least: float = -math.inf) -> int:
    """The whole number, not below the least one, of a setting; UserError for other values."""
    parsed = number(value)
    if parsed is None or not parsed.is_integer() or not least <= parsed < 2.0**63:
        limit = "" if least == -math.inf else f" >= {least:g}"
        raise UserError(f"{name}: expected a whole number{limit}; received {shown(value)}")
    return int(value)


def shown(value: Any) -> str:
    """A value in one short line."""
    parsed = number(value)
    line = " ".join(repr(value).split()) if parsed is None else str(np.asarray(value))
    return line if len(line) <= 60 else f"{line[:60]}..."
