"""eps and kappa of a model: variables that training reads and no weights."""

import math
from typing import Any

import keras
import tensorflow as tf

from rt_tf import numbers
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor

NAMES = ("eps", "kappa")
_MOST = {"eps": numbers.LARGEST, "kappa": 1.0}
EXPECTED = {"eps": "a radius of at least 0", "kappa": "a share from 0 to 1"}


class Dial(keras.Variable):
    """eps or kappa: what it is assigned is in range, or refused by a UserError.

    Not a number until it is set: training at a forgotten radius is refused.
    """

    def __init__(self, name: str) -> None:
        super().__init__(math.nan, dtype="float32", trainable=False, name=name)

    def assign(self, value: Any) -> Any:
        """Takes a value; one within a graph is not known yet: the next step checks it."""
        known = not tf.is_tensor(value) or hasattr(value, "numpy")
        return super().assign(checked(self.name, value) if known else value)

    def __float__(self) -> float:
        """The value, of which several replicas have a copy each."""
        return float(tf.convert_to_tensor(self))

    @property
    def known(self) -> float | None:
        """The value; None until it is set."""
        value = float(self)
        return None if math.isnan(value) else value


class Dials:
    """eps and kappa of a model that holds this, and no weights of it.

    What restores weights must leave the radius as it is, at which figures are given. Keras and
    TensorFlow take variables among a model's attributes for weights, and look into no other object.
    """

    def __init__(self) -> None:
        self.eps = Dial("eps")
        self.kappa = Dial("kappa")


def checked(name: str, value: Any) -> float:
    """The number that eps or kappa is given as; UserError for none, and for one out of range."""
    return numbers.between(name, value, 0.0, _MOST[name], EXPECTED[name])


def in_range(name: str, value: Tensor) -> Tensor:
    """Whether eps or kappa is in range; a scalar."""
    return (value >= 0.0) & (value <= _MOST[name])


def refuse_unused(kappa: Any, bounded: bool) -> None:
    """UserError for a share, or its course, of a bound term that an objective does not have."""
    if not bounded and kappa is not None and numbers.number(kappa) != 0.0:
        raise UserError(
            f"kappa: expected 0 for an objective without a bound; received {numbers.shown(kappa)}"
        )
