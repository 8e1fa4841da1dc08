"""Checks of the data for `fit` and the like, before Keras, whose errors are long."""

from collections.abc import Generator, Iterator
from numbers import Number
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rt_tf import numbers
from rt_tf.errors import UserError

_EXPECTED = {
    "x": "one array of numbers, [batch, ...], a dataset, or a generator of batches",
    "y": "class numbers, [batch]",
    "sample_weight": "a number for each example, [batch]",
}
_KINDS = {"O": "Python objects", "S": "texts", "U": "texts", "M": "times", "m": "times"}
_KINDS |= {"c": "complex numbers"}


def refuse_unread(arguments: dict[str, Any], classes: int) -> None:
    """Raises UserError for arguments of `fit` and the like that Keras cannot read, or ignores.

    arguments: by name. Every batch is checked as it comes, besides.
    """
    _refuse_data(arguments.get("x"), arguments.get("y"), arguments.get("sample_weight"))
    validation = arguments.get("validation_data")
    if validation is not None:
        _refuse_data(*keras.utils.unpack_x_y_sample_weight(validation), where=" of validation_data")
    _refuse_class_weight(arguments.get("class_weight"), classes)


def _refuse_class_weight(weights: Any, classes: int) -> None:
    """Raises UserError for anything but weights by class; Keras ignores those of other numbers."""
    numbered = isinstance(weights, dict) and set(weights) <= set(range(classes))
    if weights is not None and not numbered:
        raise UserError(
            f"class_weight: expected a dict from class numbers, 0 to {classes - 1}, to weights; "
            f"received {numbers.shown(weights)}"
        )
    for label, weight in (weights or {}).items():
        numbers.at_least_0(f"class_weight[{label}]", weight)


def _refuse_data(x: Any, y: Any, weights: Any, *, where: str = "") -> None:
    """Raises UserError for a source without batches, and for arrays that are no examples."""
    parts = {"x": x} if y is None and not hasattr(x, "shape") else {"x": x, "y": y}
    parts |= {} if weights is None else {"sample_weight": weights}
    for name, part in parts.items():
        _refuse_others(name, part, where)
    if _batches(x) == 0:
        raise UserError(f"x{where}: expected at least one batch; received none")
    _refuse_rows({name: _rows(part) for name, part in parts.items()}, where)


def _refuse_others(name: str, part: Any, where: str) -> None:
    """Raises UserError for a part that is neither an array of numbers nor a source of batches."""
    received = ""
    iterator = isinstance(part, Iterator) and not isinstance(part, Generator)
    if part is None or isinstance(part, str | bytes | Number):
        received = "none" if part is None else numbers.shown(part)
    elif iterator or isinstance(part, dict | list | tuple) or not _readable(part):
        received = f"a {type(part).__name__}"
    elif hasattr(part, "shape"):
        received = _unlike_numbers(part)
    if received:
        raise UserError(f"{name}{where}: expected {_EXPECTED[name]}; received {received}")


def _readable(part: Any) -> bool:
    """Whether a part may be an array, or give batches."""
    return any(hasattr(part, name) for name in ("shape", "__iter__", "__getitem__"))


def _unlike_numbers(array: Any) -> str:
    """A word for content other than numbers along a first axis; empty for such numbers."""
    dtype = getattr(array, "dtype", None)
    if isinstance(dtype, np.dtype) and dtype.kind in _KINDS:
        return _KINDS[dtype.kind]
    return "a scalar" if array.shape == () else ""


def _refuse_rows(rows: dict[str, int | None], where: str) -> None:
    """Raises UserError for no examples, and unless each has one label and one weight, if any."""
    if rows["x"] == 0:
        raise UserError(f"x{where}: expected at least one example; received none")
    for name, count in rows.items():
        if None not in (count, rows["x"]) and count != rows["x"]:
            raise UserError(
                f"{name}{where}: expected one for each of the {rows['x']} examples of x; "
                f"received {count}"
            )


def _rows(part: Any) -> int | None:
    """The number of examples of an array; None where the part does not say."""
    shape = getattr(part, "shape", None)
    return shape[0] if shape is not None and shape != () else None


def _batches(x: Any) -> int | None:
    """The number of batches of a dataset; None where it does not say, or is none."""
    if isinstance(x, tf.data.Dataset):
        return int(x.cardinality())
    return x.num_batches if isinstance(x, keras.utils.PyDataset) else None
