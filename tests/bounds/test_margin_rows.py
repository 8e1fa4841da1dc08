"""Margins of many classes: the values of the matrix, in memory that grows with the classes."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.bounds.margin_rows import MANY, MarginRows, margin_rows, matrix
from rt_tf.bounds.methods import crown_ibp_bounds, fused_bounds, interval_bounds
from rt_tf.bounds.result import Box
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region
from rt_tf.training.objectives.worst_case import worst_case_loss

CLASSES = 7
LABELS = tf.constant([0, 3, 6], tf.int64)


def rows() -> MarginRows:
    return MarginRows(LABELS, CLASSES)


def normal(seed: int, *shape: int) -> tf.Tensor:
    return tf.random.stateless_normal(shape, [seed, 0])


def test_the_matrix_has_the_labels_less_each_other_class() -> None:
    logits = normal(1, 3, CLASSES)
    margins = tf.linalg.matvec(rows().matrix(), logits).numpy()
    for values, label, of_example in zip(logits.numpy(), LABELS.numpy(), margins, strict=True):
        np.testing.assert_allclose(of_example, values[label] - np.delete(values, label), rtol=1e-6)


def test_a_sum_of_rows_is_that_of_the_matrix() -> None:
    weights = normal(2, 3, CLASSES - 1)
    expected = tf.einsum("bs,bsc->bc", weights, rows().matrix())[:, tf.newaxis]
    np.testing.assert_allclose(rows().combined(weights), expected, atol=1e-6)


def test_bounds_of_differences_are_those_of_the_logits() -> None:
    lower = normal(3, 3, CLASSES)
    box = Box(lower, lower + tf.abs(normal(4, 3, CLASSES)))
    spec = rows().matrix()
    least = tf.linalg.matvec(tf.nn.relu(spec), box.lower) - tf.linalg.matvec(
        tf.nn.relu(-spec), box.upper
    )
    most = tf.linalg.matvec(tf.nn.relu(spec), box.upper) - tf.linalg.matvec(
        tf.nn.relu(-spec), box.lower
    )
    for between, wanted in zip(rows().between(box), (least, most), strict=True):
        np.testing.assert_allclose(between, wanted, atol=1e-6)


def test_sound_differences_hold_exactly() -> None:
    lower = normal(5, 200, CLASSES) * tf.exp(10.0 * normal(6, 200, CLASSES))
    labels = tf.range(200) % CLASSES
    box = Box(lower, lower + tf.abs(normal(7, 200, CLASSES)))
    least, most = MarginRows(labels, CLASSES).between(box, sound=True)
    ends = [np.asarray(end, np.float64) for end in box]
    for k, label in enumerate(labels.numpy()):
        exact = ends[0][k, label] - np.delete(ends[1][k], label)
        assert (np.asarray(least[k], np.float64) < exact).all()
        exact = ends[1][k, label] - np.delete(ends[0][k], label)
        assert (np.asarray(most[k], np.float64) > exact).all()


def many_classes(classes: int, hidden: int = 16) -> keras.Model:
    keras.utils.set_random_seed(0)
    layers = [keras.layers.Dense(hidden, activation="relu"), keras.layers.Dense(classes)]
    return keras.Sequential([keras.Input([8]), *layers])


@pytest.mark.parametrize("method", [interval_bounds, fused_bounds, crown_ibp_bounds])
@pytest.mark.parametrize("arithmetic", ["fast", "sound"])
def test_bounds_of_many_classes_hold(method, arithmetic: str) -> None:
    classes = MANY + 2
    wiring = trace(many_classes(classes))
    x = tf.random.stateless_uniform([3, 8], [0, 0])
    region, labels = Region(Linf(), x, 0.1), tf.constant([0, 5, classes - 1])
    spec = margin_rows(labels, classes)
    assert isinstance(spec, MarginRows)
    bounds = method(wiring.lower(), region, spec, arithmetic=arithmetic)
    dense = method(wiring.lower(), region, matrix(spec), arithmetic=arithmetic)
    assert (bounds.margins <= dense.margins + 1e-4).numpy().all()
    lower, upper = region.box()
    for seed in range(40):
        share = tf.round(tf.random.stateless_uniform(x.shape, [seed, 2]))
        logits = wiring.lower()(lower + share * (upper - lower))
        margins = tf.linalg.matvec(matrix(spec), logits)
        assert (bounds.margins <= margins + 1e-5).numpy().all()
        if bounds.loss is not None:
            assert (worst_case_loss(margins) <= bounds.loss + 1e-4).numpy().all()


def sizes(graph: tf.Graph) -> list[int]:
    """The number of values of every tensor of a graph."""
    tensors = [out for op in graph.get_operations() for out in op.outputs]
    return [t.shape.num_elements() for t in tensors if t.shape.is_fully_defined()]


@pytest.mark.parametrize("method", [interval_bounds, fused_bounds])
def test_no_tensor_of_a_training_step_grows_with_classes_squared(method) -> None:
    """Nor with classes times the last layer's inputs, but for its kernel."""
    classes, batch, hidden = 500, 6, 40
    network = many_classes(classes, hidden)
    wiring = trace(network)

    def step(x: tf.Tensor, labels: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            spec = margin_rows(labels, classes)
            bounds = method(wiring.lower(), Region(Linf(), x, 0.1), spec)
            loss = worst_case_loss(bounds.margins) if bounds.loss is None else bounds.loss
        return tape.gradient(loss, network.trainable_variables)

    traced = tf.function(step, autograph=False).get_concrete_function(
        tf.TensorSpec([batch, 8]), tf.TensorSpec([batch], tf.int64)
    )
    assert max(sizes(traced.graph)) <= max(classes * hidden, 2 * batch * classes)


def test_few_classes_have_a_matrix() -> None:
    assert isinstance(margin_rows(LABELS, networks.CLASSES), tf.Tensor)
