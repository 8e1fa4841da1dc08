"""Warnings of attacks that may mislead: each fires where it should, and nowhere else."""

import keras
import linear_tasks as linear
import networks
import pytest
import tensorflow as tf

from rt_tf.attacks import preflight

X = tf.constant(networks.images((4, 4, 2), 6))


def plain():
    return networks.known("conv_same")[0]


def concrete(network):
    spec = tf.TensorSpec([None, 4, 4, 2])
    return tf.function(network, [spec], autograph=False).get_concrete_function()


def one_line(warnings, pattern):
    assert len(warnings) == 1
    assert pattern in warnings[0]
    assert "\n" not in warnings[0]


def test_a_randomised_network():
    noisy = keras.Sequential([keras.Input((4, 4, 2)), keras.layers.GaussianNoise(1.0), plain()])
    one_line(preflight.randomised(lambda x: noisy(x, training=True), X), "6 of 6 answers differ")
    assert preflight.randomised(lambda x: noisy(x, training=False), X) == []


def test_probabilities():
    logits = plain()(X)
    one_line(preflight.probabilities(tf.nn.softmax(logits)), "not logits")
    assert preflight.probabilities(logits) == []
    assert preflight.probabilities(tf.nn.sigmoid(logits)) == []
    assert preflight.probabilities(tf.nn.log_softmax(logits)) == []
    assert preflight.probabilities(logits[:0]) == []


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_vanishing_gradients(scale):
    """The cross-entropy's vanish where logits are far apart; the DLR loss does not mind."""
    x, w = linear.images(4), linear.slopes(others=2)
    task = linear.task("linf", x, scale * w, [-99.0 * scale, -98.0 * scale])
    warnings = preflight.vanishing_gradients(task, task.region.x)
    if scale > 1.0:
        one_line(warnings, "the cross-entropy loss has a zero gradient at 4 of 4")
    flat = linear.task("linf", x, 0.0 * w, [-1.0, -2.0])
    assert len(preflight.vanishing_gradients(flat, flat.region.x)) == len(preflight.LOSSES)
    gentle = linear.task("linf", x, 0.1 * w, [-1.0, -1.5])
    assert preflight.vanishing_gradients(gentle, gentle.region.x) == []
    wrong = linear.task("linf", x, 0.0 * w, [1.0, 2.0])
    assert preflight.vanishing_gradients(wrong, wrong.region.x) == []


def test_gradients_taken_inside_the_network():
    def purified(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            energy = tf.reduce_sum(tf.square(plain()(x)))
        return plain()(x - 0.1 * tape.gradient(energy, x))

    one_line(preflight.inner_work(concrete(purified)), "ReluGrad")
    inner = tf.function(purified, autograph=False)  # a graph within the graph, in a loop
    looped = concrete(
        lambda x: tf.while_loop(
            lambda i, y: i < 2, lambda i, y: (i + 1, inner(x)), (0, plain()(x))
        )[1]
    )
    one_line(preflight.inner_work(looped), "ReluGrad")
    assert preflight.inner_work(concrete(plain())) == []
    assert preflight.inner_work(concrete(lambda x: plain()(tf.stop_gradient(x)))) == []


def test_random_numbers_inside_the_network():
    for draw in (
        tf.random.normal,
        lambda shape: tf.random.stateless_uniform(shape, [1, 2]),
        tf.random.truncated_normal,
    ):
        noisy = concrete(lambda x, draw=draw: plain()(x + draw(tf.shape(x))))
        one_line(preflight.inner_work(noisy), "draws random numbers")
    generator = tf.random.Generator.from_seed(1)
    noisy = concrete(lambda x: plain()(x + generator.normal(tf.shape(x))))
    one_line(preflight.inner_work(noisy), "draws random numbers")


def test_a_black_box_attack_ahead():
    one_line(preflight.black_box_ahead(3, 40), "found 3 of the 40")
    assert preflight.black_box_ahead(0, 40) == []
