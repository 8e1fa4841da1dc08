"""Several networks as one model: the members of a cascade, and the mean of their logits."""

from collections.abc import Sequence

import keras

from rt_tf import layers
from rt_tf.errors import UserError


@keras.saving.register_keras_serializable("rt_tf")
class Cascade(keras.Model):
    """A functional model of members, whose own logits are their mean.

    What a cascade answers is not that but `rt_tf.certify.cascade`: it abstains on an input which no
    member certifies, or on whose label they do not agree.
    """

    @property
    def members(self) -> list[keras.Model]:
        """The networks, in the order in which they are asked."""
        return [layer for layer in self.layers if isinstance(layer, keras.Model)]


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
    total = layers.Add(name="sum")(logits) if len(logits) > 1 else logits[0]
    mean = layers.Rescaling(1.0 / len(logits), name="logits")(total)
    return Cascade(inputs=image, outputs=mean, name="cascade")
