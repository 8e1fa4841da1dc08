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
    """A run's network, notes on where it differs from its file's, and the file's own network."""

    network: keras.Model
    notes: list[str]
    original: Original


def read(file: GivenFile) -> Adopted:
    """The network of a file.

    UserError for a file that cannot be read and for a network that no bound method can interpret.
    """
    return READERS[file.flag](file.path)


def _keras(path: Path) -> Adopted:
    found = keras_file.read(path)
    return Adopted(found.network, found.notes, found.original)


def _onnx(path: Path) -> Adopted:
    found = onnx_file.read(path)
    return Adopted(found.model, list(found.notes), found.original())


READERS: dict[str, Callable[[Path], Adopted]] = {"keras_file": _keras, "onnx_file": _onnx}
