"""A user's images, labels and radius, checked before any rung sees them."""

from typing import Any

import numpy as np

from rt_tf import numbers
from rt_tf.errors import UserError
from rt_tf.network.wiring import Wiring


def images_of(wiring: Wiring, images: Any) -> np.ndarray:
    """Images [batch, ...] as float32, the precision that certificates hold for.

    UserError unless they are numbers of the network's input shape, inside its domain.
    """
    values = np.asarray(images)
    if values.dtype.kind not in "fiu" or values.shape[1:] != wiring.input_shape or not values.ndim:
        shape = ", ".join(map(str, wiring.input_shape))
        raise UserError(
            f"images: expected numbers of shape [batch, {shape}]; received {values.dtype} of shape "
            f"{list(values.shape)}"
        )
    wiring.domain.check(values)
    return values.astype(np.float32)


def labels_of(wiring: Wiring, labels: Any, count: int) -> np.ndarray:
    """The labels of `count` images as int64 [batch].

    UserError unless there is one for each image and each is the number of a class.
    """
    values = np.asarray(labels)
    if values.shape != (count,) or (count and values.dtype.kind not in "iu"):
        raise UserError(
            f"labels: expected a whole number for each of {count} images; received {values.dtype} "
            f"of shape {list(values.shape)}"
        )
    wrong = values[(values < 0) | (values >= wiring.classes)]
    if wrong.size:
        raise UserError(f"labels: expected 0 to {wiring.classes - 1}; received {wrong[0]}")
    return values.astype(np.int64)


def radius_of(eps: Any) -> float:
    """A radius as a float; UserError unless it is a finite number of at least 0."""
    return numbers.between("eps", eps, 0.0, numbers.LARGEST, "a finite number of at least 0")
