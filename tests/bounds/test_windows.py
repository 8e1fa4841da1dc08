"""Receptive fields: passes over windows are passes over whole values, in chunks of any size."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.bounds import intermediate
from rt_tf.bounds.intermediate import Settings, full_enclosure
from rt_tf.bounds.interval import enclose
from rt_tf.bounds.receptive_fields import Extent, extents
from rt_tf.bounds.result import Box, margin_spec
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

L = keras.layers


def conv(filters=3, kernel=3, **options):
    return L.Conv2D(filters, kernel, **{"padding": "same", **options})


def crossing(x):
    """Branches of several window sizes that meet, with zeros put around on the way."""
    a = L.ReLU()(conv(2)(x))
    b = L.ReLU()(L.BatchNormalization()(conv(3, 3)(a)))
    c = L.ZeroPadding2D(((2, 1), (0, 3)))(conv(3, 1)(a))
    c = L.AveragePooling2D(2, 1)(L.Conv2D(3, (3, 3), padding="valid")(c))
    return L.ReLU()(L.Add()([b, c]))


def gated(x):
    """Gates of a whole image between convolutions: windows take them as boxes."""
    for _ in range(2):
        x = conv(4, activation="relu")(x)
        gate = L.Dense(2, activation="relu")(L.GlobalAveragePooling2D(keepdims=True)(x))
        x = L.Multiply()([L.Dense(4, activation="sigmoid")(gate), x])
    return L.ReLU()(conv(2)(x))


WINDOWED = {
    "deep": lambda: networks.chain(
        conv(), L.ReLU(), conv(2), L.ReLU(), conv(2), L.ReLU(), shape=(12, 12, 1)
    ),
    "strided": lambda: networks.chain(
        conv(4, 4, strides=2),
        L.ReLU(),
        conv(3, 4, strides=2),
        L.ReLU(),
        conv(3, 2),
        L.ReLU(),
        shape=(20, 18, 2),
    ),
    "valid_and_uneven": lambda: networks.chain(
        L.Conv2D(2, (3, 2), strides=(1, 2)),
        L.ReLU(),
        L.Conv2D(2, (2, 3), strides=(3, 1)),
        L.ReLU(),
        shape=(16, 19, 1),
    ),
    "dilated": lambda: networks.chain(
        conv(2, 3, dilation_rate=2),
        L.ReLU(),
        conv(2, 2, dilation_rate=(1, 3)),
        L.ReLU(),
        shape=(14, 14, 1),
    ),
    "batch_norm": lambda: networks.chain(
        L.Rescaling(2.0, -1.0),
        conv(),
        L.BatchNormalization(),
        L.ReLU(),
        conv(2),
        L.BatchNormalization(),
        L.ReLU(),
        shape=(10, 10, 2),
    ),
    "pooled": lambda: networks.chain(
        conv(2), L.ReLU(), L.AveragePooling2D(2), conv(2), L.ReLU(), shape=(12, 12, 1)
    ),
    "cropped": lambda: networks.chain(
        L.SeparableConv2D(3, 3, padding="same"),
        L.ReLU(),
        L.Cropping2D(((2, 1), (0, 3))),
        conv(2),
        L.ReLU(),
        shape=(14, 13, 1),
    ),
    "compared": lambda: networks.functional(
        lambda x: L.ReLU()(
            conv(2)(L.Subtract()([L.Maximum()([conv()(x), conv()(x)]), L.Average()([x, x])]))
        ),
        (12, 12, 3),
    ),
    "crossing": lambda: networks.functional(crossing, (14, 13, 1)),
    "gated": lambda: networks.functional(gated, (16, 16, 1)),
}
cases = pytest.mark.parametrize("name", WINDOWED)


def question(name, eps=0.02):
    model = networks.randomize(WINDOWED[name](), seed=3)
    wiring = trace(model)
    x = tf.constant(networks.images(wiring.input_shape, 3))
    return wiring.lower(), Region(Linf(), x, tf.constant([eps, 2 * eps, 0.5 * eps]))


def without_windows(monkeypatch):
    """Passes of whole values, which take the same nodes as boxes."""
    monkeypatch.setattr(
        intermediate,
        "_windows",
        lambda *which, windows=intermediate._windows: (None, windows(*which)[1]),
    )


def same(actual, expected, tolerance=1e-5):
    for i, box in expected.boxes.items():
        scale = max(1.0, float(tf.reduce_max(tf.abs(box.lower))))
        for a, b in zip(actual.boxes[i], box, strict=True):
            np.testing.assert_allclose(a, b, rtol=0.0, atol=tolerance * scale)


@cases
@pytest.mark.parametrize("slope", ["parallel", "adaptive"])
def test_windows_give_what_whole_values_give(name, slope, monkeypatch):
    graph, region = question(name)
    windowed = full_enclosure(graph, region, Settings(slope))
    last = max(i for i in graph.preactivations())
    closed = graph.gates()
    assert extents(graph, last, windowed.shapes, closed) is not None, "the case tests no windows"
    without_windows(monkeypatch)
    same(windowed, full_enclosure(graph, region, Settings(slope)))


@cases
def test_sound_windows_hold_every_value(name):
    graph, region = question(name)
    boxes = full_enclosure(graph, region.outward(), Settings(arithmetic="sound")).boxes
    lower, upper = region.box()
    for seed in range(20):
        share = tf.round(tf.random.stateless_uniform(lower.shape, [seed, 1]))
        values = [lower + share * (upper - lower)]
        for i, node in graph.numbered():
            values.append(node.op(*(values[k] for k in node.inputs)))
            assert ((values[i] >= boxes[i].lower) & (values[i] <= boxes[i].upper)).numpy().all()


@pytest.mark.parametrize("memory", [0.01, 0.1, 1000.0])
def test_the_memory_budget_changes_nothing(memory):
    graph, region = question("pooled")
    chunked = full_enclosure(graph, region, Settings(memory=memory))
    same(chunked, full_enclosure(graph, region, Settings()))


def test_whole_values_in_chunks_too():
    _model, wiring = networks.known("dense")
    region = Region(Linf(), tf.constant(networks.images(wiring.input_shape)), 0.3)
    graph = wiring.lower()
    same(
        full_enclosure(graph, region, Settings(memory=0.0)),
        full_enclosure(graph, region, Settings()),
    )


@pytest.mark.parametrize("eps", [0.0, 1e-6])
def test_no_unstable_unit_is_no_trouble(eps):
    graph, region = question("strided", eps)
    same(full_enclosure(graph, region, Settings()), enclose(graph, Box(*region.box())), 1e-4)


def test_extents_by_hand():
    """Two convolutions, 4x4 with stride 2 and one zero around: 4 then 10 pixels."""
    model = networks.chain(
        conv(2, 4, strides=2), L.ReLU(), conv(2, 4, strides=2), shape=(28, 28, 1)
    )
    graph = trace(model).lower()
    region = Region(Linf(), tf.zeros([1, 28, 28, 1]), 0.1)
    shapes = enclose(graph, Box(*region.box())).shapes
    fields = extents(graph, 3, shapes)
    assert fields == {
        3: Extent((1, 1), (1, 1), (0, 0)),
        2: Extent((4, 4), (2, 2), (-1, -1)),
        1: Extent((4, 4), (2, 2), (-1, -1)),
        0: Extent((10, 10), (4, 4), (-3, -3)),
    }
    assert extents(graph, 5, shapes) is None  # behind a flattening


@cases
def test_gradients_through_windows_are_those_through_whole_values(name, monkeypatch):
    graph, region = question(name)

    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(region.x)
            boxes = full_enclosure(graph, region, Settings("parallel")).boxes
            loss = tf.add_n([tf.reduce_sum(tf.sin(b.lower) + b.upper) for b in boxes.values()])
        return tape.gradient(loss, region.x).numpy()

    actual = gradient()
    without_windows(monkeypatch)
    expected = gradient()
    np.testing.assert_allclose(actual, expected, rtol=0.0, atol=1e-4 * np.abs(expected).max())


def gradients_of(recompute: bool, model: keras.Model, method: str) -> list[np.ndarray]:
    """The margins of a few images, and their gradients to images and weights, by small chunks."""
    bound = catalogue.bound(method, {"memory": 0.02, "recompute": recompute})
    wiring = trace(model)

    @tf.function(autograph=False)
    def run(x: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            region = Region(Linf(), x, tf.constant(0.05))
            spec = margin_spec(tf.constant([0, 1], tf.int64), model.output_shape[-1])
            margins = bound(wiring.lower(), region, spec).margins
        return [margins, *tape.gradient(margins, [x, *model.trainable_weights])]

    x = tf.random.stateless_uniform([2, *model.input_shape[1:]], [0, 0])
    return [np.array(tensor) for tensor in run(x)]


@pytest.mark.parametrize(
    ("network", "method"),
    [
        ("dense", "crown"),
        pytest.param("dense", "dual", marks=pytest.mark.slow),
        pytest.param("strided", "crown", marks=pytest.mark.slow),
        pytest.param("strided", "dual", marks=pytest.mark.slow),
    ],
)
def test_gradients_that_compute_passes_again_are_those_that_keep_them(
    network: str, method: str
) -> None:
    dense = lambda: networks.chain(  # noqa: E731
        L.Flatten(), L.Dense(9, "relu"), L.Dense(7, "relu"), L.Dense(6, "relu"), shape=(4, 4, 1)
    )
    inner = dense() if network == "dense" else WINDOWED[network]()
    keras.utils.set_random_seed(0)
    outputs = L.Dense(3)(L.Flatten()(inner.outputs[0]))
    model = keras.Model(inner.inputs, outputs)
    kept, again = (gradients_of(recompute, model, method) for recompute in (False, True))
    assert any(np.abs(gradient).max() > 0.0 for gradient in kept[1:])
    for ours, theirs in zip(again, kept, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5 * np.abs(theirs).max())
