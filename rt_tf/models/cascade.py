"""Several networks as one model: the members of a cascade."""

from collections.abc import Sequence

import keras

from rt_tf import layers
from rt_tf.errors import UserError


@keras.saving.register_keras_serializable("rt_tf")
class Cascade(keras.Model):
    """A functional model of members; its outputs are their logits, side by side.

    `rt_tf.bounds.cascade` defines a cascade's answers: it abstains on an input that no member
    certifies, or on whose label the members up to that one do not agree.
    """


def cascade(networks: Sequence[keras.Model]) -> Cascade:
    """The cascade of networks, each from pixels to logits; UserError for none."""
    if not networks:
        raise UserError("cascade: expected at least one network; received none")
    image = keras.Input(networks[0].input_shape[1:], name="image")
    members = [
        keras.Model(network.input, network.output, name=f"member{number}")
        for number, network in enumerate(networks, start=1)
    ]
    logits = [member(image) for member in members]
    joined = layers.Concatenate(name="logits")(logits) if len(logits) > 1 else logits[0]
    return Cascade(inputs=image, outputs=joined, name="cascade")


def members(network: keras.Model) -> list[keras.Model]:
    """The networks of a cascade in order; else the network itself."""
    if not isinstance(network, Cascade):
        return [network]
    return [layer for layer in network.layers if isinstance(layer, keras.Model)]
