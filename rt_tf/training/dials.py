"""eps and kappa of a model: variables that training reads and that are no weights."""

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
    """A variable for eps or kappa; assigning a value out of range raises UserError.

    Not a number until it is set: training at a forgotten radius is refused.
    """

    def __init__(self, name: str) -> None:
        super().__init__(math.nan, dtype="float32", trainable=False, name=name)

    def assign(self, value: Any) -> Any:
        """Assigns a value; the next step checks a value within a graph, which is not known yet."""
        has_value = not tf.is_tensor(value) or hasattr(value, "numpy")
        return super().assign(checked(self.name, value) if has_value else value)

    def __float__(self) -> float:
        """The value; of several replicas, whose copies are equal, the first one's."""
        return float(tf.convert_to_tensor(self))

    @property
    def current(self) -> float | None:
        """The value; None until it is set."""
        value = float(self)
        return None if math.isnan(value) else value


class Dials:
    """The holder of a model's eps and kappa, which keeps them from being weights of the model.

    Restoring weights must leave the radius as it is, since figures are of that radius. Keras and
    TensorFlow take variables among a model's attributes for weights, and look into no other object.
    """

    def __init__(self) -> None:
        self.eps = Dial("eps")
        self.kappa = Dial("kappa")


def checked(name: str, value: Any) -> float:
    """The value of eps or kappa as a number; UserError for values that are none or out of range."""
    return numbers.between(name, value, 0.0, _MOST[name], EXPECTED[name])


def in_range(name: str, value: Tensor) -> Tensor:
    """Whether eps or kappa is in range; a scalar."""
    return (value >= 0.0) & (value <= _MOST[name])


def refuse_unused(kappa: Any, bounded: bool) -> None:
    """Raises UserError for a share of a bound term that an objective does not have."""
    if not bounded and kappa is not None and numbers.number(kappa) != 0.0:
        raise UserError(
            f"kappa: expected 0 for an objective without a bound; received {numbers.shown(kappa)}"
        )
