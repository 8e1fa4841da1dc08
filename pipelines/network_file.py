"""A user's file as the network of a run, from pixels in [0, 1] to logits."""

from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from pipelines import keras_file
from pipelines.given import GivenFile
from rt_tf.interchange import onnx_file

Read = tuple[keras.Model, list[str]]


def read(file: GivenFile, input_range: Sequence[float] | None) -> Read:
    """The network of a file, and notes on where it differs from the file's.

    Pixels are rescaled from [0, 1] to `input_range`. UserError for a file that cannot be read and
    for a network that no bound method can interpret.
    """
    network, notes = READERS[file.flag](file.path)
    if input_range is not None:
        low, high = input_range
        network = _rescaled(network, low, high)
        notes.append(f"pixels are rescaled from [0, 1] to [{low:g}, {high:g}] inside the network")
    return network, notes


def _rescaled(network: keras.Model, low: float, high: float) -> keras.Model:
    """A network of pixels in [0, 1] around one of pixels in [low, high]."""
    image = keras.Input(network.input_shape[1:], name="image")
    pixels = keras.layers.Rescaling(high - low, offset=low, name="pixels")(image)
    return keras.Model(image, network(pixels), name=f"rescaled_{network.name}")


def _onnx(path: Path) -> Read:
    found = onnx_file.read(path)
    return found.model, list(found.notes)


READERS: dict[str, Callable[[Path], Read]] = {"keras_file": keras_file.read, "onnx_file": _onnx}
