"""A user's file as the network of a run, from images to logits."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras

from pipelines.runs import keras_file
from pipelines.runs.external_network import GivenFile
from rt_tf.interchange import onnx_file
from rt_tf.interchange.parity import Original


class Adopted(NamedTuple):
    """A run's network, notes on its differences from the file's network, and that network."""

    network: keras.Model
    notes: list[str]
    original: Original


def read(file: GivenFile) -> Adopted:
    """The network of a file.

    UserError for a file that cannot be read and for a network that no bound method can interpret.
    """
    return READERS[file.flag](file.path)


def _keras(path: Path) -> Adopted:
    file = keras_file.read(path)
    return Adopted(file.network, file.notes, file.original)


def _onnx(path: Path) -> Adopted:
    file = onnx_file.read(path)
    return Adopted(file.model, list(file.notes), file.original())


READERS: dict[str, Callable[[Path], Adopted]] = {"keras_file": _keras, "onnx_file": _onnx}
