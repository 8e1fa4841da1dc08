"""Architectures by name: functional Keras models from pixels in [0, 1] to logits.

A new architecture is a function `(input_shape, classes, **options) -> keras.Model` in one of these
files and a row in the catalogue.
"""

from rt_tf.models.build import build, hidden_units
from rt_tf.models.cascade import Cascade, cascade, members
from rt_tf.models.initializers import ShiNormal
from rt_tf.models.own import check_fit
from rt_tf.models.stock import stock

__all__ = [
    "Cascade",
    "ShiNormal",
    "build",
    "cascade",
    "check_fit",
    "hidden_units",
    "members",
    "stock",
]
