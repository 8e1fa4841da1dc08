"""Zonotopes: symbols keep their identity; latent regions are their points without the matrix."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.bounds import zonotope
from rt_tf.bounds.intermediate import Settings, full_enclosure
from rt_tf.bounds.interval import enclose
from rt_tf.bounds.latent import LatentRegion
from rt_tf.bounds.result import Box
from rt_tf.bounds.symbols import unit_symbols
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

L = keras.layers


def opposite(x):
    """Two activations side by side: their symbols have nothing to do with each other."""
    a, b = (L.Dense(4, activation="relu")(x) for _ in range(2))
    return L.Add()([a, b])


def test_symbols_of_parallel_branches_are_not_confused():
    model = networks.randomize(networks.functional(opposite, (3,)), 5)
    first, second, _ = (layer for layer in model.layers if layer.name.startswith("dense"))
    second.set_weights([-w for w in first.get_weights()])  # relu(z) + relu(-z) = |z|
    graph = trace(model).lower()
    region = Region(Linf(), tf.constant([[0.5, 0.5, 0.5]]), 0.4)
    value, _ = zonotope.enclose(graph, zonotope.zonotope_of_region(region), Box(*region.box()))
    points = np.random.default_rng(0).uniform(0.1, 0.9, (2000, 3)).astype(np.float32)
    logits = graph(tf.constant(points)).numpy()
    assert (logits >= value.box.lower.numpy() - 1e-5).all()
    assert (logits <= value.box.upper.numpy() + 1e-5).all()


def test_only_units_with_a_radius_get_symbols():
    radii = tf.constant([[0.0, 2.0, 0.0, 1.0], [3.0, 0.0, 0.0, 0.0]])
    symbols, generators = unit_symbols(radii)
    assert generators.shape == (2, 2, 4)
    assert symbols.most == 4
    np.testing.assert_array_equal(tf.reduce_sum(generators, axis=1), radii)
    np.testing.assert_array_equal(tf.math.count_nonzero(generators, axis=[1, 2]), [2, 1])


def question(name):
    _, wiring = networks.known(name)
    graph = wiring.lower()
    region = Region(Linf(), tf.constant(networks.images(wiring.input_shape)), 0.1)
    return graph, region


@pytest.mark.parametrize("name", ["dense", "conv_same", "batch_norm", "average_pool"])
def test_latent_points_fill_the_zonotopes_box_and_no_more(name):
    graph, region = question(name)
    start = zonotope.zonotope_of(Box(*region.box()))
    value, enclosure = zonotope.enclose(graph, start, Box(*region.box()))
    latent = LatentRegion(graph, enclosure, graph.output)
    box = value.box
    for seed in range(20):
        symbols = {
            i: tf.sign(tf.random.stateless_normal([3, *shape], [seed, i]))
            for i, shape in latent.shapes().items()
        }
        point = latent.point(symbols)
        assert ((point >= box.lower - 1e-5) & (point <= box.upper + 1e-5)).numpy().all()
    # The gradient of a coordinate is its row of A: its signs lead to the box's corner.
    with tf.GradientTape() as tape:
        zeros = {i: tf.zeros([3, *shape]) for i, shape in latent.shapes().items()}
        tape.watch(zeros)
        first = latent.point(zeros)[:, 0]
    signs = {i: tf.sign(g) for i, g in tape.gradient(first, zeros).items()}
    np.testing.assert_allclose(latent.point(signs)[:, 0], box.upper[:, 0], rtol=0.0, atol=1e-5)


@pytest.mark.parametrize("name", ["dense", "conv_same", "average_pool", "max_pool"])
def test_values_of_the_region_are_latent_points(name):
    """For every input some symbols give the layer's value."""
    graph, region = question(name)
    enclosure = full_enclosure(graph, region, Settings("parallel"))
    node = sorted(graph.preactivations())[-1]
    latent = LatentRegion(graph, enclosure, node)
    x = region.start(tf.random.stateless_uniform(region.x.shape, [4, 4]))
    box = enclosure.boxes[0]
    symbols = {0: (x - box.centre) / tf.maximum(box.radius, 1e-20)}
    values = [x]
    for i, step in graph.numbered():
        values.append(step.op(*(values[k] for k in step.inputs)))
        if i in latent.shapes():
            source = step.inputs[0]
            lines = step.op.relax(*enclosure.boxes[source], "parallel")
            half = 0.5 * lines.upper_offset
            middle = lines.upper_slope * values[source] + half
            symbols[i] = (values[i] - middle) / tf.maximum(half, 1e-12)
            symbols[i] = tf.where(half > 1e-12, symbols[i], 0.0)
            assert (tf.abs(symbols[i]) <= 1.0 + 1e-3).numpy().all()
    np.testing.assert_allclose(latent.point(symbols), values[node], rtol=0.0, atol=1e-4)
    if name != "max_pool":  # there the layer is not a cut
        logits = latent.above(values[node])
        np.testing.assert_allclose(logits, values[graph.output], rtol=0.0, atol=1e-5)


def test_a_latent_layer_that_does_not_cut_the_network_is_refused():
    graph, region = question("residual")
    enclosure = enclose(graph, Box(*region.box()))
    with pytest.raises(ValueError, match="does not cut the network"):
        LatentRegion(graph, enclosure, 1).above(tf.zeros([3, 4, 4, 3]))
