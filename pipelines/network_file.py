"""A user's file as the network of a run, from images to logits."""

from collections.abc import Callable
from pathlib import Path

import keras

from pipelines import keras_file
from pipelines.given import GivenFile
from rt_tf.interchange import onnx_file

Read = tuple[keras.Model, list[str]]


def read(file: GivenFile) -> Read:
    """The network of a file, and notes on where it differs from the file's.

    UserError for a file that cannot be read and for a network that no bound method can interpret.
    """
    return READERS[file.flag](file.path)


def _onnx(path: Path) -> Read:
    found = onnx_file.read(path)
    return found.model, list(found.notes)


READERS: dict[str, Callable[[Path], Read]] = {"keras_file": keras_file.read, "onnx_file": _onnx}
