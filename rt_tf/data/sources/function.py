"""Sources that a user's Python function makes."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from rt_tf.catalogue.plugins import called
from rt_tf.data.sources.arrays import of_arrays, with_test
from rt_tf.data.sources.source import Part, Reading, Source
from rt_tf.errors import UserError

CONTRACT = (
    "a Source, a pair (x, y), or two pairs, ((x_train, y_train), (x_test, y_test)); a pair may be "
    "arrays, a batched tf.data.Dataset or a PyDataset"
)


def read(path: str, reading: Reading) -> Source:
    """The source that a function `module:function` of no arguments returns."""
    return made(path, lambda: called("dataset", path), reading)


def made(name: str, function: Callable[[], Any], reading: Reading) -> Source:
    """The source that a function returns: a `Source` as it is; others by `of_arrays`.

    name: of the data set. UserError for others.
    """
    result = function()
    if isinstance(result, Source):
        _check(name, result)
        return with_test(result, reading.test_share)
    parts = [result]
    if isinstance(result, tuple | list) and len(result) == 2 and _is_part(result[0]):
        parts = list(result)
    if not all(map(_is_part, parts)):
        raise UserError(f"dataset: expected {CONTRACT} from {name}; received {_shown(result)}")
    arrays = {which: _arrays(part) for which, part in zip(("train", "test"), parts, strict=False)}
    return of_arrays(name.rpartition(":")[2], arrays, reading)


def _is_part(value: Any) -> bool:
    """Whether a value is examples: a pair of arrays, or what yields batches of such pairs."""
    if isinstance(value, tf.data.Dataset | keras.utils.PyDataset):
        return True
    pair = isinstance(value, tuple | list) and len(value) == 2
    return pair and all(isinstance(part, np.ndarray) for part in value)


def _arrays(part: Any) -> Part:
    if isinstance(part, tf.data.Dataset):
        if part.cardinality() == tf.data.INFINITE_CARDINALITY:
            raise UserError("dataset: expected a tf.data.Dataset that ends; received another")
        batches = list(part.as_numpy_iterator())
    elif isinstance(part, keras.utils.PyDataset):
        batches = [part[k] for k in range(len(part))]
    else:
        batches = [part]
    if not batches or len(batches[0]) != 2 or not np.ndim(batches[0][1]):
        raise UserError("dataset: expected batches (x [n, ...], y [n]); received other elements")
    x, y = (np.concatenate([np.asarray(batch[k]) for batch in batches]) for k in range(2))
    return Part(x, y)


def _check(name: str, source: Source) -> None:
    """Raises UserError for a source that does not keep its contract."""
    for which, part in (("train", source.train), ("test", source.test)):
        if part is None:
            continue
        wanted = np.uint8 if source.pixel_max is not None else np.float32
        if not isinstance(part, Part) or part.rows.dtype != wanted or part.labels.dtype != np.int64:
            raise UserError(
                f"dataset: expected a Part of {np.dtype(wanted)} rows and int64 labels for "
                f"{which} from {name}; received {_shown(part)}"
            )


def _shown(value: Any) -> str:
    if isinstance(value, Part):
        return f"{value.rows.dtype} rows and {value.labels.dtype} labels"
    return f"a {type(value).__name__}"
