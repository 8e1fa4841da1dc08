"""The features of a TFDS data set that classification takes: an image or numbers, and a label."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from rt_tf.errors import UserError


class Features(NamedTuple):
    """The names of the input and the label among a data set's features.

    columns: the names of a table's columns; empty for images. class_names: of labels that have
    names; empty for labels that are any whole numbers.
    """

    input: str
    label: str
    columns: tuple[str, ...] = ()
    class_names: tuple[str, ...] = ()

    def rows(self, example: Any) -> Any:
        """The input in a batch of examples: images, or the rows of a table."""
        value = example[self.input]
        if isinstance(value, dict):
            return np.stack([np.asarray(value[name], np.float64) for name in self.columns], axis=1)
        return value


def features_of(name: str, info: tfds.core.DatasetInfo) -> Features:
    """The features of a data set by their types, and by its supervised keys where types leave open.

    UserError where there is no image or table of numbers, or no label, or none of several is meant.
    """
    present = info.features
    keys = info.supervised_keys or (None, None)
    given = _meant(name, "an image, or a table of numbers", present, _is_input, keys[0])
    label = _meant(name, "a label", present, _is_label, keys[1])
    feature = present[label]
    named = isinstance(feature, tfds.features.ClassLabel) and feature.num_classes
    class_names = tuple(feature.names) if named else ()
    return Features(given, label, _columns(present[given]), class_names)


def _meant(name: str, what: str, present: Any, fits: Callable[[Any], bool], key: str | None) -> str:
    names = [feature for feature in present if fits(present[feature])]
    if key in names:
        return str(key)
    if len(names) != 1:
        listed = ", ".join(f"{n}: {type(present[n]).__name__}" for n in present)
        raise UserError(
            f"data set '{name}': expected {what} among its features; received {len(names)} "
            f"({listed})"
        )
    return names[0]


def _is_input(feature: Any) -> bool:
    return isinstance(feature, tfds.features.Image) or bool(_columns(feature))


def _is_label(feature: Any) -> bool:
    if isinstance(feature, tfds.features.ClassLabel):
        return True
    scalar = isinstance(feature, tfds.features.Scalar | tfds.features.Tensor) and not feature.shape
    return scalar and np.issubdtype(feature.np_dtype, np.integer)


def _columns(feature: Any) -> tuple[str, ...]:
    """The names of a table's columns: of a dictionary of numbers, or 0, 1, ... of a vector."""
    if isinstance(feature, tfds.features.FeaturesDict):
        parts = feature.values()
        numbers = all(not part.shape and np.issubdtype(part.np_dtype, np.number) for part in parts)
        return tuple(feature) if numbers else ()
    if isinstance(feature, tfds.features.Image) or not isinstance(feature, tfds.features.Tensor):
        return ()
    vector = len(feature.shape) == 1 and feature.shape[0]
    is_number = np.issubdtype(feature.np_dtype, np.number)
    return tuple(map(str, range(feature.shape[0]))) if vector and is_number else ()
