"""What a lowering reads and writes: a call of a layer, and the operations it becomes."""

from typing import NamedTuple

import keras

from rt_tf.errors import UserError
from rt_tf.network.ops import Op, Positive, Tensor


class Statistics(NamedTuple):
    """Mean and variance that a batch normalisation call uses, each [channels]."""

    mean: Tensor
    variance: Tensor


class Call(NamedTuple):
    """One call of a layer: the shapes of its inputs (without batch) and its statistics, if any."""

    input_shapes: tuple[tuple[int, ...], ...]
    statistics: Statistics | None = None


class Step(NamedTuple):
    """An operation within a layer; `inputs` count the layer's inputs, then the steps before.

    `hull`: the operation is the exact image of the layer's first input under this map.
    """

    op: Op
    inputs: tuple[int, ...] = (0,)
    hull: Positive | None = None


def refuse_channels_first(layer: keras.layers.Layer) -> None:
    """UserError unless images are [batch, height, width, channels]."""
    if layer.data_format != "channels_last":
        raise UserError(
            f"layer '{layer.name}': expected data_format='channels_last'; "
            f"received '{layer.data_format}'"
        )
