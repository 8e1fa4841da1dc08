"""The input and output of a lowering: a call of a layer, and the operations it becomes."""

import dataclasses
from collections.abc import Container, Sequence
from typing import Any, NamedTuple

import keras

from rt_tf.errors import UserError
from rt_tf.network.ops import Limits, Op, Positive, Tensor

# The methods that decide what a layer computes.
COMPUTES = (
    *("__call__", "call", "convolution_op", "_merge_function", "_moments", "_resize_images"),
    *("transform_images", "_transform_images", "get_random_transformation"),
)


class Statistics(NamedTuple):
    """Mean and variance that a batch normalisation call uses, each [channels]."""

    mean: Tensor
    variance: Tensor


@dataclasses.dataclass(frozen=True)
class Slot:
    """The place of an input of a call among the call's arguments."""

    number: int


@dataclasses.dataclass(frozen=True)
class Arguments:
    """The arguments of a call, with slots for what is computed from the network's input."""

    args: tuple[Any, ...] = (Slot(0),)
    kwargs: dict[str, Any] = dataclasses.field(default_factory=dict)

    def filled(self, inputs: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Positional and named arguments with the inputs in their slots."""

        def fill(leaf: Any) -> Any:
            return inputs[leaf.number] if isinstance(leaf, Slot) else leaf

        return keras.tree.map_structure(fill, (self.args, self.kwargs))


class Call(NamedTuple):
    """One call of a layer or an operation of Keras.

    input_shapes: of its inputs, without batch. statistics: of a batch normalisation, if any. bare:
    without the layer's `activation=`. part: which of several results is meant.
    """

    input_shapes: tuple[tuple[int, ...], ...]
    statistics: Statistics | None = None
    bare: bool = False
    arguments: Arguments = Arguments()
    part: int = 0


class Hull(NamedTuple):
    """A nondecreasing map of earlier values, whose exact image under it a value is.

    Or two such maps, below and above the value: op, and upper. by_size: what the rounding of the
    served network may add on either side, for each unit of the largest size of the first source.
    """

    op: Positive
    sources: tuple[int, ...]
    upper: Positive | None = None
    by_size: float = 0.0


class Step(NamedTuple):
    """An operation within a layer; `inputs` count the layer's inputs, then the steps before.

    hull: cuts the interval of the step's value; its sources are counted like inputs. limits: what
    the operation's values are always within.
    """

    op: Op
    inputs: tuple[int, ...] = (0,)
    hull: Hull | None = None
    limits: Limits | None = None

    def renumbered(self, numbers: Sequence[int]) -> "Step":
        """The step with a new number for each input and step before it, in their order."""
        hull, limits = self.hull, self.limits
        return self._replace(
            inputs=tuple(numbers[k] for k in self.inputs),
            hull=hull and hull._replace(sources=tuple(numbers[k] for k in hull.sources)),
            limits=limits and limits._replace(source=numbers[limits.source]),
        )


def kind_of(layer: keras.layers.Layer, classes: Container[type]) -> type | None:
    """The class among `classes` that a layer is of, or None.

    UserError for a subclass that computes something else: it must not inherit the class's
    bounds.
    """
    kind = next((ancestor for ancestor in type(layer).__mro__ if ancestor in classes), None)
    if kind is not None:
        _refuse_changed(layer, kind)
    return kind


def _refuse_changed(layer: keras.layers.Layer, kind: type) -> None:
    """Raises UserError for a layer that computes something else than its class."""
    changed = any(
        name in vars(layer) or getattr(type(layer), name, None) is not getattr(kind, name, None)
        for name in COMPUTES
    )
    if changed or getattr(layer, "quantization_mode", None):
        raise UserError(
            f"layer '{layer.name}': expected {kind.__name__}'s own unquantised computation; "
            f"received {type(layer).__name__}, which changes it, so it has no bounds"
        )
