"""Numbers that a user gives: what is one, and what is to be said of what is none."""

from typing import Any

import numpy as np

from rt_tf.errors import UserError

LARGEST = float(np.finfo(np.float32).max)
_NO_NUMBERS = "bcmMSU"  # NumPy's kinds: truth values, complex numbers, times and texts


def number(value: Any) -> float | None:
    """The number that a value is; None for texts, truth values, several numbers, and others."""
    try:
        array = np.asarray(value)
        return None if array.ndim or array.dtype.kind in _NO_NUMBERS else float(array)
    except (ArithmeticError, TypeError, ValueError):
        return None


def between(name: str, value: Any, least: float, most: float, expected: str) -> float:
    """The number that a setting is given as; UserError for what is none, or is out of range.

    It is judged as the float32 that it is computed with: 1e39 is infinite, and rounding forgiven.
    """
    found = number(value)
    with np.errstate(over="ignore"):
        if found is None or not least <= np.float32(found) <= most:
            raise UserError(f"{name}: expected {expected}; received {shown(value)}")
    return found


def finite(name: str, value: Any) -> float:
    """The finite number that a setting is given as; UserError for what is none."""
    return between(name, value, -LARGEST, LARGEST, "a finite number")


def at_least_0(name: str, value: Any) -> float:
    """The finite number of at least 0 that a setting is given as; UserError for what is none."""
    return between(name, value, 0.0, LARGEST, "a number of at least 0")


def whole(name: str, value: Any) -> int:
    """The whole number that a setting is given as; UserError for what is none."""
    found = number(value)
    if found is None or not found.is_integer():
        raise UserError(f"{name}: expected a whole number; received {shown(value)}")
    return int(value)


def shown(value: Any) -> str:
    """A value within a line."""
    found = number(value)
    line = " ".join(repr(value).split()) if found is None else str(np.asarray(value))
    return line if len(line) <= 60 else f"{line[:60]}..."
