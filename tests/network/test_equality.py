"""The lowered graph computes what the Keras model computes, at inference and in training."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.network.keras_operations import STAND_INS
from rt_tf.network.lowering import LOWERINGS
from rt_tf.network.operations.lowering import OPERATIONS
from rt_tf.network.ops import Bent
from rt_tf.network.trace import trace

WITH_STATISTICS = [
    "affine_deep",
    "batch_norm",
    "batch_norm_bare",
    "batch_norm_of_other_axes",
    "batch_norm_shared",
    "catalogued",
]


def close(a, b, tolerance=2e-5):
    scale = max(1.0, float(np.abs(b).max()))
    np.testing.assert_allclose(a, b, rtol=0.0, atol=tolerance * scale)


@pytest.mark.parametrize("name", networks.EVERY)
def test_graph_equals_model(name):
    model, wiring = networks.known(name)
    x = networks.images(wiring.input_shape, 7)
    expected = model(x, training=False).numpy()
    close(wiring.lower()(tf.constant(x)).numpy(), expected)
    close(wiring.forward(tf.constant(x))[0].numpy(), expected, 1e-6)
    assert wiring.classes == networks.CLASSES


def test_every_lowering_is_in_the_table():
    layers, operations = set(), set()
    for name in networks.NETWORKS:
        for call in networks.known(name)[1].calls:
            if isinstance(call.layer, keras.layers.Layer):
                layers.add(next(kind for kind in type(call.layer).__mro__ if kind in LOWERINGS))
            else:
                operations.add(type(call.layer).__name__)
    assert layers == set(LOWERINGS)
    assert operations <= set(OPERATIONS) <= operations | set(STAND_INS)


def matrices(op, shapes):
    """A mask of the nonzero coefficients of each of an operation's inputs: [inputs, outputs]."""
    for k, shape in enumerate(shapes):
        size = int(np.prod(shape))
        values = [tf.zeros([size, *other]) for other in shapes]
        values[k] = tf.reshape(tf.eye(size), [size, *shape])
        yield np.reshape(op.linear(*values), [size, -1]) != 0.0


@pytest.mark.parametrize("name", networks.EVERY)
def test_terms_count_what_is_summed(name):
    _, wiring = networks.known(name)
    graph, values = wiring.lower(), [tf.constant(networks.images(wiring.input_shape, 1))]
    for _, node in graph.numbered():
        inputs = [values[k] for k in node.inputs]
        values.append(node.op(*inputs))
        if isinstance(node.op, Bent):
            continue
        parts = list(matrices(node.op, [x.shape[1:] for x in inputs]))
        summed = np.concatenate(parts).sum(axis=0).max()
        back = max(part.sum(axis=1).max() for part in parts)
        assert summed <= node.op.terms
        assert back <= getattr(node.op, "transposed_terms", node.op.terms)


def test_tracing_leaves_the_model_as_it_was(tmp_path):
    model = networks.build("nested")
    x = networks.images(networks.SHAPE)
    before = model(x).numpy()
    trace(model)
    trace(model)
    model.save(tmp_path / "network.keras")
    np.testing.assert_array_equal(model(x), before)
    np.testing.assert_array_equal(keras.models.load_model(tmp_path / "network.keras")(x), before)


def moving(model):
    return [w.numpy() for w in model.weights if w.name.startswith("moving")]


@pytest.mark.parametrize("name", WITH_STATISTICS)
def test_a_clean_pass_updates_statistics_once_as_keras_does(name):
    model, twin = networks.build(name), networks.build(name)
    wiring = trace(model)
    x = tf.constant(networks.images(wiring.input_shape, 6))
    logits, statistics = wiring.forward(x, training=True)
    close(logits.numpy(), twin(x, training=True).numpy())
    for ours, theirs in zip(moving(model), moving(twin), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    calls = [c for c in wiring.calls if isinstance(c.layer, keras.layers.BatchNormalization)]
    assert len(statistics) == len(calls)
    assert wiring.has_statistics


@pytest.mark.parametrize("name", WITH_STATISTICS)
def test_given_statistics_are_used_and_update_nothing(name):
    model = networks.build(name)
    wiring = trace(model)
    x = tf.constant(networks.images(wiring.input_shape, 6))
    logits, statistics = wiring.forward(x, training=True)
    before = moving(model)
    close(wiring.lower(statistics)(x).numpy(), logits.numpy(), 1e-4)
    for training in (False, True):
        again, same = wiring.forward(x, training=training, statistics=statistics)
        close(again.numpy(), logits.numpy(), 1e-4)
        assert same.keys() == statistics.keys()
    for ours, theirs in zip(moving(model), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_without_training_nothing_is_updated():
    model = networks.build("batch_norm")
    wiring, before = trace(model), moving(model)
    wiring.forward(tf.constant(networks.images(wiring.input_shape)), training=False)
    wiring.lower()
    for ours, theirs in zip(moving(model), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_frozen_batch_normalisation_keeps_its_moving_statistics():
    model = networks.build("batch_norm")
    for layer in model.layers:
        layer.trainable = not isinstance(layer, keras.layers.BatchNormalization)
    wiring, before = trace(model), moving(model)
    x = tf.constant(networks.images(wiring.input_shape))
    logits, statistics = wiring.forward(x, training=True)
    assert not statistics
    close(logits.numpy(), model(x, training=False).numpy())
    for ours, theirs in zip(moving(model), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "name",
    ["batch_norm", "branches", "max_pool", "rescaling_channels", "operations", "depthwise"],
)
def test_half_precision_networks_are_lowered_in_float32(name):
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        half = networks.build(name)
    finally:
        keras.config.set_dtype_policy(policy)
    model, wiring = networks.known(name)
    x = networks.images(wiring.input_shape)
    logits = trace(half).lower()(tf.constant(x))
    assert half(x).dtype == tf.float16
    assert logits.dtype == tf.float32
    close(logits.numpy(), model(x).numpy())


def test_weights_are_read_when_lowered():
    model = networks.build("dense")
    wiring, x = trace(model), tf.constant(networks.images(networks.SHAPE))
    networks.randomize(model, seed=9)
    close(wiring.lower()(x).numpy(), model(x).numpy())
