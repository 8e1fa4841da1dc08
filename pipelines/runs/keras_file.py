"""A user's .keras file as a network in float32, from pixels to logits."""

import re
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

import rt_tf.models  # noqa: F401 - tells Keras of this library's layers
from rt_tf.errors import UserError
from rt_tf.interchange.nodes.call import error_line
from rt_tf.interchange.parity import PRECISIONS, Original, answers, of_two_classes
from rt_tf.network.copying import copied
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring

# Patterns of Keras's errors on a file, with words for the user.
REASONS = (
    (r"Could not locate (?:class|function) '([^']+)'", "the custom object '{0}', unknown here"),
    (r"safe_mode=False", "Python code (a Lambda layer), which is not run from files"),
)


class KerasNetwork(NamedTuple):
    """A file's network.

    network: a copy that computes in float32, to logits. notes: differences of the copy from the
    file's network. original: the file's network itself.
    """

    network: keras.Model
    notes: list[str]
    original: Original


def read(path: Path, output: str | None = None) -> KerasNetwork:
    """The network of a file. output: the name of the one to compute, of several.

    UserError for a file that cannot be read and for a network that no bound method can interpret.
    """
    try:
        loaded = _of_output(_load(path), path, output)
        wiring = trace(loaded)
        network = copied(wiring, loaded.name)
    except RecursionError as error:
        raise UserError(
            f"keras_file: expected models inside models a few deep; {path} holds more"
        ) from error
    if not trace(network).float32:
        raise UserError(f"keras_file: expected layers that compute in float32; {path} holds others")
    return KerasNetwork(network, _notes(wiring), _original(loaded, wiring, path))


def _of_output(loaded: keras.Model, path: Path, output: str | None) -> keras.Model:
    """The network of one of a file's outputs; UserError unless it is one, or named."""
    names = list(getattr(loaded, "output_names", None) or [])
    if output is None and len(names) < 2:
        return loaded
    if output not in names:
        received = "none" if output is None else f"'{output}'"
        raise UserError(
            f"network_output: expected one of the outputs of {path}, {', '.join(names)}; received "
            f"{received}"
        )
    return keras.Model(loaded.inputs, loaded.outputs[names.index(output)], name=loaded.name)


def _original(loaded: keras.Model, wiring: Wiring, path: Path) -> Original:
    """The file's network itself, as a function of inputs in floating point."""
    taken = loaded.inputs[0].dtype

    def nearest(inputs: np.ndarray) -> np.ndarray:
        if "int" not in taken:
            return inputs
        ends = np.iinfo(taken)
        return np.clip(np.rint(inputs), ends.min, ends.max)

    def outputs(inputs: np.ndarray) -> np.ndarray:
        try:
            given = answers(loaded, nearest(inputs))
        except Exception as error:  # whatever Keras and a foreign model make of each other
            raise UserError(
                f"keras_file: expected a network that Keras computes; {path} is not: "
                f"{error_line(error)}"
            ) from error
        given = np.exp(given) if wiring.ending == "log_softmax" else given
        return of_two_classes(given, wiring.ending) if given.shape[1] == 1 else given

    return Original(
        "keras_file",
        path,
        outputs,
        ending=wiring.ending.removeprefix("log_"),
        compute_dtype=_coarsest(wiring, path),
        nearest=nearest,
    )


def _coarsest(wiring: Wiring, path: Path) -> str:
    """The coarsest type in which a layer computes; UserError for others than floating point."""
    types = {call.compute_dtype for call in wiring.calls}
    types |= {name for name in wiring.taken if "float" in name}
    for refused in types - set(PRECISIONS):
        raise UserError(
            f"keras_file: expected layers that compute in one of {', '.join(PRECISIONS)}; {path} "
            f"holds one in {refused}"
        )
    return max(types, key=lambda name: PRECISIONS[name].unit)


def _load(path: Path) -> keras.Model:
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # whatever Keras and a foreign file make of each other
        raise UserError(f"keras_file: {_reason(path, str(error))}") from error


def _reason(path: Path, text: str) -> str:
    for pattern, words in REASONS:
        if match := re.search(pattern, text):
            holds = words.format(*match.groups())
            return f"expected layers of Keras or rt_tf alone; {path} holds {holds}"
    return f"expected a readable .keras file; {path} is not: {' '.join(text.split())[:200]}"


def _notes(wiring: Wiring) -> list[str]:
    notes = []
    policies = {
        call.layer.dtype_policy.name
        for call in wiring.calls
        if isinstance(call.layer, keras.layers.Layer)
    }
    others = sorted({*wiring.taken, *policies} - {"float32"})
    if others:
        notes.append(f"this is the float32 copy of a network in {', '.join(others)}")
    if wiring.ending:
        words = wiring.ending.replace("_", "-")
        notes.append(f"the final {words} is left out: it keeps the order of the logits")
    return notes + [note for note in wiring.notes if "two classes" in note]
