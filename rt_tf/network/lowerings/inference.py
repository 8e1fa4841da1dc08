"""Layers that do something in training alone."""

import keras

from rt_tf.errors import UserError
from rt_tf.network.steps import Call, Step


def nothing(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of the identity: none."""
    return []


def random_crop(layer: keras.layers.Layer, call: Call) -> list[Step]:
    """The steps of a crop at inference, which leaves images as they are: none.

    UserError for images of another size: Keras has the crop's shape for the layers that follow.
    """
    size = layer.height, layer.width
    whole = layer.compute_output_shape((1, *call.input_shapes[0]))[1:] == call.input_shapes[0]
    if not whole:
        raise UserError(
            f"layer '{layer.name}': expected images of the crop's own size {size}, as inference "
            f"crops nothing; received {call.input_shapes[0]}"
        )
    return []
