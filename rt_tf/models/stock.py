"""A network for files: of Keras's own classes, so that Keras alone loads them."""

from typing import Any

import keras

from rt_tf import layers
from rt_tf.models.initializers import ShiNormal


def stock(network: keras.Model) -> keras.Model:
    """A copy of a network whose layers and initialisers are Keras's own.

    It computes the same; a layer of rt_tf.layers becomes the class that it adds bounds to. Of
    this library's classes only a `Cascade` remains, whose answers Keras cannot give.
    """
    copy = keras.models.clone_model(network, clone_function=_stock_layer, recursive=True)
    copy.set_weights(network.get_weights())
    return copy


def _stock_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    config = layer.get_config()
    for key in config:
        if isinstance(getattr(layer, key, None), ShiNormal):
            config[key] = _stock_initializer(layer, key)
    return layers.stock_class(layer).from_config(config)


def _stock_initializer(layer: keras.layers.Layer, key: str) -> dict[str, Any]:
    drawn = getattr(layer, key).of_shape(layer.kernel.shape)
    return keras.saving.serialize_keras_object(drawn)
