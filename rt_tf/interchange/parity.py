"""Whether a Keras network computes what a file does, up to the rounding of float32."""

import math
from pathlib import Path

import keras
import numpy as np

from rt_tf.errors import UserError

MOST = 1e-4  # that rounding may change, of the outputs' size
ROOM = 16.0  # times the rounding measured; of other orders of summation it was up to 3 times that
UNIT = 2.0**-24  # the relative rounding of one float32 number


def check(model: keras.Model, inputs: np.ndarray, theirs: np.ndarray, path: Path) -> None:
    """UserError unless a model's outputs for inputs are those of the file, [inputs, outputs]."""
    ours = model(inputs, training=False).numpy()
    size = float(np.abs(theirs).max())
    gap = float(np.abs(ours - theirs).max()) if ours.shape == theirs.shape else math.inf
    most = min(MOST * max(1.0, size), ROOM * (_rounding(model, inputs, ours) + UNIT * size))
    if not gap <= most:
        raise UserError(
            f"onnx_file: expected a network that computes what {path} does; outputs of size "
            f"{size:g} differ by {gap:g}, which is more than rounding's {most:g}"
        )


def _rounding(model: keras.Model, inputs: np.ndarray, outputs: np.ndarray) -> float:
    """How far float32 outputs are from those of float64: it grows with the sums in between."""
    double = keras.models.clone_model(model, clone_function=_in_double)
    double.set_weights(model.get_weights())
    return float(np.abs(double(inputs.astype(np.float64), training=False).numpy() - outputs).max())


def _in_double(layer: keras.layers.Layer) -> keras.layers.Layer:
    return type(layer).from_config({**layer.get_config(), "dtype": "float64"})
