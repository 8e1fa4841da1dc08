"""A softmax at a network's end is left out, with a note; the logits remain."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.network.trace import trace

L = networks.L


def chain(*last):
    layers = [L.Conv2D(3, 3), L.ReLU(), L.Flatten(), *last]
    return keras.Sequential([L.Input(networks.SHAPE), *layers])


def functional(softmax):
    start = keras.Input(networks.SHAPE)
    return keras.Model(start, softmax(L.Dense(3, name="logits")(L.Flatten()(start))))


def within():
    """The softmax at the end of a model within; a layer of the same kind is used before."""
    start, inner = keras.Input(networks.SHAPE), keras.Input((12,))
    block = keras.Model(inner, L.Dense(3, L.Softmax(), name="last")(inner))
    return keras.Model(start, block(L.Flatten()(L.Conv2D(3, 3, activation="relu")(start))))


SOFTMAXES = {  # a network, and the layer that its note names
    "layer": (lambda: chain(L.Dense(3), L.Softmax(name="last")), "last"),
    "first_axis": (lambda: chain(L.Dense(3), L.Softmax(axis=1, name="last")), "last"),
    "activation_layer": (lambda: chain(L.Dense(3), L.Activation("softmax", name="last")), "last"),
    "activation": (lambda: chain(L.Dense(3, activation="softmax", name="last")), "last"),
    "function": (lambda: chain(L.Dense(3, activation=tf.nn.softmax, name="last")), "last"),
    "without_bias": (lambda: chain(L.Dense(3, "softmax", use_bias=False, name="last")), "last"),
    "after_an_activation": (lambda: chain(L.Dense(3, "tanh"), L.Softmax(name="last")), "last"),
    "operation": (lambda: functional(keras.ops.softmax), "softmax"),
    "function_of_a_tensor": (lambda: functional(keras.activations.softmax), "softmax"),
    "within": (within, "last"),
}


@pytest.mark.parametrize("name", SOFTMAXES)
def test_a_final_softmax_is_left_out_with_a_note(name):
    make, layer = SOFTMAXES[name]
    model = networks.randomize(make())
    wiring, x = trace(model), tf.constant(networks.images(networks.SHAPE, 5))
    (note,) = wiring.notes
    assert note.startswith(f"layer '{layer}")
    assert note.endswith("': its final softmax is left out: bounds are of the logits")
    for logits in (wiring.lower()(x), wiring.forward(x)[0], wiring.forward(x, training=True)[0]):
        np.testing.assert_allclose(tf.nn.softmax(logits), model(x), rtol=0.0, atol=1e-6)
        assert np.abs(logits - model(x)).max() > 0.1  # not the probabilities


def test_the_logits_of_a_softmax_activation_train_its_weights():
    model = networks.randomize(chain(L.Dense(3, activation="softmax")))
    wiring, x = trace(model), tf.constant(networks.images(networks.SHAPE, 5))
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(wiring.forward(x, training=True)[0] ** 2)
    for gradient in tape.gradient(loss, model.trainable_variables):
        assert np.abs(gradient).max() > 0.0


def test_other_networks_have_no_notes():
    assert trace(networks.build("dense")).notes == ()


def test_logits_are_of_the_layers_own_type():
    model = chain(L.Dense(3, activation="softmax", dtype="mixed_float16"))
    logits, _ = trace(model).forward(tf.constant(networks.images(networks.SHAPE)))
    assert logits.dtype == tf.float16
