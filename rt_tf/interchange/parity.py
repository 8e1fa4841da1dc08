"""Comparisons of a network with the file it was made of, up to the rounding of its precision."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import scipy.special

from rt_tf.errors import UserError
from rt_tf.network.copying import copied
from rt_tf.network.trace import trace

BATCH = 100  # inputs that are evaluated at once
MEASURED = 200  # inputs, at most, on which rounding is measured
# Layers that TensorFlow does not compute in float64 on processors.
WITHOUT_DOUBLES = (keras.layers.AveragePooling3D, keras.layers.MaxPooling3D)
SOFTMAX = 8.0  # roundings by which a probability may be off, of exponentials, a sum and a quotient


class Precision(NamedTuple):
    """The effect of rounding in a precision.

    unit: the relative rounding of one number. most: the largest difference, as a share of the
    outputs' size. floor: of the logarithms of probabilities that are compared.
    """

    unit: float
    most: float
    floor: float = -60.0


PRECISIONS = {
    "bfloat16": Precision(2.0**-8, 0.4),
    "float16": Precision(2.0**-11, 0.05, floor=-9.0),
    "float32": Precision(2.0**-24, 1e-4),
    "float64": Precision(2.0**-24, 1e-4),  # the network that is compared with it is in float32
}


@dataclasses.dataclass(frozen=True)
class Original:
    """The network of a file as its own format computes it.

    flag: the flag that names the file. answers: inputs [n, ...] of the adopted network -> [n,
    outputs]. ending: what these are of the adopted network's logits: "" for themselves, softmax for
    their probabilities, sigmoid for both classes' probabilities, of which one is rounded.
    compute_dtype: the coarsest type in which the file's layers compute. nearest: the nearest
    inputs that the file's network takes; others than given where it takes whole numbers alone.
    room: the largest difference, in units of the measured rounding; more where another library
    sums in another order. most: inputs of a kind that are worth the time.
    """

    flag: str
    path: Path
    answers: Callable[[np.ndarray], np.ndarray]
    ending: str = ""
    compute_dtype: str = "float32"
    nearest: Callable[[np.ndarray], np.ndarray] = lambda inputs: inputs
    room: float = 4.0
    most: int = 10_000

    @property
    def precision(self) -> Precision:
        """The effect of rounding in the file's precision."""
        return PRECISIONS[self.compute_dtype]


class Comparison(NamedTuple):
    """The distance of a network from a file on inputs of a kind.

    difference: the largest, of logits. rounding: the largest difference that rounding explains.
    size: of the largest logit. ties: labels that differ, where the file's first two are within
    rounding.
    """

    kind: str
    inputs: int
    difference: float
    rounding: float
    size: float
    ties: int


class Comparer:
    """Compares a network with the file it was made of."""

    def __init__(self, network: keras.Model, original: Original) -> None:
        self.network, self.original = network, original
        wiring = trace(network, logits=False)
        is_half = original.precision.unit > PRECISIONS["float32"].unit
        self._rounded = copied(wiring, "rounded", original.compute_dtype) if is_half else network
        has_doubles = not any(isinstance(call.layer, WITHOUT_DOUBLES) for call in wiring.calls)
        self._double = copied(wiring, "double", "float64") if has_doubles else None

    def compare(self, inputs: np.ndarray, kind: str = "inputs") -> Comparison:
        """The distance of answers to inputs [n, ...] from the file's. kind: a name of the inputs.

        UserError where a difference is more than rounding, measured on these inputs,
        explains. Labels then differ only where the file's first two are that near.
        """
        theirs, ours = self._theirs(inputs), self._ours(self.network, inputs)
        size = float(np.abs(theirs).max())
        same = ours.shape == theirs.shape
        difference = float(np.abs(ours - theirs).max()) if same else float("inf")
        differ = int((ours.argmax(axis=1) != theirs.argmax(axis=1)).sum())
        rounding = self._rounding(inputs, size)
        if not difference <= rounding:
            raise UserError(
                f"{self.original.flag}: expected a network that computes what "
                f"{self.original.path} does; of {len(inputs):,} {kind} {differ:,} have another "
                f"label, and outputs of size {size:g} differ by {difference:g}, which is more than "
                f"rounding's {rounding:g}"
            )
        return Comparison(kind, len(inputs), difference, rounding, size, differ)

    def _rounding(self, inputs: np.ndarray, size: float) -> float:
        """The largest difference of outputs of a size that rounding explains.

        Where it cannot be measured, the most that it is ever taken for.
        """
        precision, roundings = self.original.precision, size + SOFTMAX * bool(self.original.ending)
        most = precision.most * max(1.0, size)
        if self._double is None:
            return most
        few = inputs[:: -(-len(inputs) // MEASURED)]
        exact = self._ours(self._double, few)
        measured = float(np.abs(self._ours(self._rounded, few) - exact).max())
        return min(most, self.original.room * (measured + precision.unit * roundings))

    def _ours(self, network: keras.Model, inputs: np.ndarray) -> np.ndarray:
        """A network's logits, their probabilities, or the logarithms of these: [n, outputs]."""
        logits = answers(network, inputs)
        if self.original.ending == "sigmoid":
            return scipy.special.softmax(logits, axis=1)
        if not self.original.ending:
            return logits
        return np.maximum(scipy.special.log_softmax(logits, axis=1), self.original.precision.floor)

    def _theirs(self, inputs: np.ndarray) -> np.ndarray:
        """The file's outputs, in the form of ours: [n, outputs]."""
        outputs = self.original.answers(inputs).astype(np.float64)
        if not np.isfinite(outputs).all():
            raise UserError(
                f"{self.original.flag}: expected finite outputs; {self.original.path} has others"
            )
        if self.original.ending != "softmax":
            return outputs
        floor = self.original.precision.floor
        return np.maximum(np.log(np.maximum(outputs, np.exp(floor))), floor)


def of_two_classes(outputs: np.ndarray, ending: str) -> np.ndarray:
    """One output [n, 1] as those of two classes, [n, 2]: of logits 0 and z, or of probabilities.

    ending: sigmoid where the output is a probability.
    """
    return np.concatenate(
        [1.0 - outputs if ending == "sigmoid" else 0.0 * outputs, outputs], axis=1
    )


def answers(network: keras.Model, inputs: np.ndarray) -> np.ndarray:
    """A network's outputs for inputs [n, ...], batch by batch, in float64: [n, outputs]."""
    parts = [inputs[i : i + BATCH] for i in range(0, len(inputs), BATCH)]
    dtype = network.inputs[0].dtype
    outputs = [network(keras.ops.cast(part, dtype), training=False) for part in parts]
    return np.concatenate([np.asarray(keras.ops.cast(y, "float64")) for y in outputs])
