"""Batch normalisations taken into kernels: the same function, bounds and gradients."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.bounds.methods import crown_ibp_bounds, interval_bounds
from rt_tf.bounds.result import margin_spec
from rt_tf.network.folding import folded
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

L = keras.layers


def traced() -> Wiring:
    """Normalised convolutions of all kinds, one that two layers read, a sum, dense layers."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((6, 6, 2))
    x = L.Conv2D(4, 3, strides=2, padding="same")(pixels)
    x = L.ReLU()(L.BatchNormalization()(x))
    x = L.ReLU()(L.BatchNormalization()(L.DepthwiseConv2D(2, depth_multiplier=2)(x)))
    x = L.ReLU()(L.BatchNormalization(scale=False)(L.Conv2D(6, 1, groups=2, use_bias=False)(x)))
    read_twice = L.Conv2D(6, 1)(x)
    x = L.Add()([L.BatchNormalization(center=False)(read_twice), read_twice])
    x = L.ReLU()(L.BatchNormalization()(x))
    x = L.Flatten()(x)
    x = L.Activation("tanh")(L.BatchNormalization()(L.Dense(5)(x)))
    net = keras.Model(pixels, L.BatchNormalization()(L.Dense(3)(x)))
    draw = np.random.default_rng(2)
    net.set_weights(
        [
            draw.uniform(0.5, 2.0, w.shape)
            if "variance" in w.path
            else draw.normal(0, 0.4, w.shape)
            for w in net.weights
        ]
    )
    return trace(net)


@pytest.fixture(scope="module")
def images() -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).random((4, 6, 6, 2)), tf.float32)


def test_a_folded_network_computes_the_same_with_fewer_operations(images: tf.Tensor) -> None:
    graph = traced().lower()
    fewer = folded(graph)
    assert len(graph.nodes) - len(fewer.nodes) == 5  # not: what is read twice, what follows a sum
    np.testing.assert_allclose(fewer(images), graph(images), rtol=1e-4, atol=1e-5)


# Layers before a normalisation, the shape of their input, and how many scalings are folded.
KINDS = {
    "sequence": ([L.Conv1D(3, 2), L.BatchNormalization()], (5, 2), 1),
    "sequence_groups": ([L.Conv1D(4, 2, groups=2), L.BatchNormalization()], (5, 2), 1),
    "depthwise": ([L.DepthwiseConv1D(2, depth_multiplier=2), L.BatchNormalization()], (5, 3), 1),
    "separable": ([L.SeparableConv2D(3, 2), L.BatchNormalization()], (4, 4, 2), 1),
    "volume": ([L.Conv3D(3, 2), L.BatchNormalization()], (3, 3, 3, 2), 1),
    "transposed_1": ([L.Conv1DTranspose(3, 2), L.BatchNormalization()], (4, 3), 1),
    "transposed_2": ([L.Conv2DTranspose(3, 2), L.BatchNormalization()], (3, 3, 3), 1),
    "transposed_3": ([L.Conv3DTranspose(3, 2), L.BatchNormalization()], (2, 2, 2, 3), 1),
    "einsum": ([L.EinsumDense("...x,xy->...y", 3), L.BatchNormalization()], (3, 3), 0),
    "at_each_time": ([L.TimeDistributed(L.Dense(3)), L.BatchNormalization()], (3, 3), 0),
    "other_axis": ([L.Conv2D(3, 2), L.BatchNormalization(axis=1)], (4, 4, 2), 0),
    "one_number": ([L.Conv2D(3, 2), L.Rescaling([2.0])], (4, 4, 2), 0),
    "resized": ([L.Resizing(3, 3, "bicubic"), L.BatchNormalization()], (4, 4, 3), 0),
}


@pytest.mark.parametrize("case", KINDS)
def test_a_number_for_each_output_channel_meets_the_kernel_s_axis(case: str) -> None:
    layers, shape, count = KINDS[case]
    net = networks.randomize(keras.Sequential([L.Input(shape), *layers, L.Flatten(), L.Dense(3)]))
    graph, x = trace(net).lower(), tf.constant(networks.images(shape))
    fewer = folded(graph)
    assert len(graph.nodes) - len(fewer.nodes) == count
    np.testing.assert_allclose(fewer(x), graph(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", [interval_bounds, crown_ibp_bounds])
def test_folding_changes_neither_bounds_nor_their_gradients(method, images: tf.Tensor) -> None:  # type: ignore[no-untyped-def]
    wiring, labels = traced(), tf.constant([0, 1, 2, 0])
    weights = [w for call in wiring.calls for w in call.layer.trainable_variables]
    results = []
    for change in (lambda graph: graph, folded):
        with tf.GradientTape() as tape:
            region = Region(Linf(), images, 0.02)
            margins = method(change(wiring.lower()), region, margin_spec(labels, 3)).margins
            total = tf.reduce_sum(margins)
        results.append([margins, *tape.gradient(total, weights)])
    for plain, other in zip(*results, strict=True):
        scale = float(tf.reduce_max(tf.abs(plain)))
        np.testing.assert_allclose(other, plain, atol=1e-4 * scale)
