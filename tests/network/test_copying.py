"""Copies of traced networks compute what the networks compute, however they are called."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.network.copying import copied
from rt_tf.network.trace import trace

L = keras.layers
NAMES = ["augmented", "spectral_normalization", "at_each_time", "channels_first", "resized"]


@pytest.mark.parametrize("name", NAMES)
def test_copies_have_the_weights_of_layers_inside_and_no_augmentations(name: str) -> None:
    model, wiring = networks.known(name)
    x = networks.images(wiring.input_shape)
    copy = copied(wiring, "copy")
    for _ in range(3):  # augmentations are random
        np.testing.assert_allclose(copy(x), model(x, training=False), rtol=1e-5, atol=1e-5)


def test_a_layer_inside_another_is_copied_in_the_precision_asked_for() -> None:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = networks.build("at_each_time")
    finally:
        keras.config.set_dtype_policy(policy)
    wiring = trace(copied(trace(half), "copy")).certifiable()
    x = networks.images(wiring.input_shape)
    logits = wiring.lower()(tf.constant(x))
    np.testing.assert_allclose(logits, networks.known("at_each_time")[0](x), rtol=1e-4, atol=1e-5)
