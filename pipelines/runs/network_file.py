"""A user's file as the network of a run, from images to logits."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras

from pipelines.runs import keras_file
from pipelines.runs.external_network import GivenFile
from rt_tf.domain import UNLIMITED
from rt_tf.interchange import onnx_file
from rt_tf.interchange.parity import Original, of_two_classes
from rt_tf.network.copying import copied
from rt_tf.network.trace import trace


class Adopted(NamedTuple):
    """A run's network, notes on its differences from the file's network, and that network."""

    network: keras.Model
    notes: list[str]
    original: Original


def read(file: GivenFile, output: str | None = None) -> Adopted:
    """The network of a file. output: the name of the one to compute, of several.

    UserError for a file that cannot be read and for a network that no bound method can interpret.
    """
    return READERS[file.flag](file.path, output)


def _keras(path: Path, output: str | None) -> Adopted:
    file = keras_file.read(path, output)
    return Adopted(file.network, file.notes, file.original)


def _onnx(path: Path, output: str | None) -> Adopted:
    file = onnx_file.read(path, output)
    adopted = Adopted(file.model, list(file.notes), file.original())
    return _of_two_classes(adopted) if file.model.output_shape == (None, 1) else adopted


def _of_two_classes(adopted: Adopted) -> Adopted:
    """A network of one output as one of the logits of two classes."""
    wiring, answers = trace(adopted.network, domain=UNLIMITED), adopted.original.answers
    original = dataclasses.replace(
        adopted.original,
        answers=lambda inputs: of_two_classes(answers(inputs), wiring.ending),
        ending=wiring.ending,
    )
    return Adopted(copied(wiring, "onnx"), [*adopted.notes, *wiring.notes], original)


READERS: dict[str, Callable[[Path, str | None], Adopted]] = {
    "keras_file": _keras,
    "onnx_file": _onnx,
}
