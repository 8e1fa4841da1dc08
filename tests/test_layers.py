"""Every layer's interval and symbolic counterparts contain its outputs; layers survive saving."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import layers
from rt_tf.bounds.result import Box
from rt_tf.bounds.zonotope import zonotope_of
from rt_tf.network.lowering import LOWERINGS

# Every class with settings; several inputs where the layer takes them.
LAYERS = {
    "Activation": ("relu",),
    "Add": (),
    "AveragePooling2D": (2,),
    "BatchNormalization": (),
    "Concatenate": (1,),
    "Conv2D": (3, 2),
    "Dense": (3,),
    "DepthwiseConv2D": (3, 1, "same", 2),
    "Dropout": (0.5,),
    "ELU": (0.5,),
    "Flatten": (),
    "GlobalAveragePooling2D": (),
    "GlobalMaxPooling2D": (),
    "LeakyReLU": (0.1,),
    "MaxPooling2D": (3, 1),
    "Normalization": (-1, [0.4, 0.6], [0.1, 0.2]),
    "ReLU": (),
    "Rescaling": (-2.0, 0.5),
    "Reshape": ((8, 4),),
    "ZeroPadding2D": (1,),
}
MERGES = {"Add", "Concatenate"}  # of two inputs
BENT = {"Activation", "ELU", "GlobalMaxPooling2D", "LeakyReLU", "MaxPooling2D", "ReLU"}
DECREASING = {  # in some inputs
    *("BatchNormalization", "Conv2D", "Dense", "DepthwiseConv2D", "Rescaling"),
}
RANGE = (-1.0, 1.0)
SAMPLES = 300


def public():
    return {
        k for k, v in vars(layers).items() if isinstance(v, type) and issubclass(v, keras.Layer)
    }


def model_of(name):
    """A model of the layer alone, its random weights, and the layer."""
    layer = getattr(layers, name)(*LAYERS[name])
    inputs = [keras.Input(networks.SHAPE) for _ in range(2 if name in MERGES else 1)]
    output = layer(one_or_list(inputs))
    return networks.randomize(keras.Model(one_or_list(inputs), output)), layer


def boxes(count, seed=0):
    rng = np.random.default_rng(seed)
    middle = rng.uniform(*RANGE, (count, 2, *networks.SHAPE)).astype(np.float32)
    radius = rng.uniform(0.0, 0.6, middle.shape).astype(np.float32)
    return [
        Box(tf.constant(m - r), tf.constant(m + r)) for m, r in zip(middle, radius, strict=True)
    ]


def outputs(model, parts):
    """Outputs at corners and random points of the boxes: [samples, batch, ...]."""
    rng = np.random.default_rng(1)
    points = []
    for box in parts:
        share = rng.random((SAMPLES, *box.lower.shape))
        share[: SAMPLES // 2] = share[: SAMPLES // 2] > 0.5
        lower, upper = (end.numpy().astype(np.float64) for end in box)
        points.append((lower + share * (upper - lower)).astype(np.float32))
    flat = [p.reshape(-1, *p.shape[2:]) for p in points]
    value = model(flat if len(flat) > 1 else flat[0], training=False).numpy()
    return value.reshape(SAMPLES, -1, *value.shape[1:])


def one_or_list(values):
    return values if len(values) > 1 else values[0]


def test_the_table_names_every_layer_and_every_lowering():
    assert set(LAYERS) == public() == {kind.__name__ for kind in LOWERINGS}


@pytest.mark.parametrize("name", LAYERS)
def test_interval_contains_outputs(name):
    model, layer = model_of(name)
    parts = boxes(len(model.inputs))
    ends = [one_or_list([getattr(b, end) for b in parts]) for end in ("lower", "upper")]
    box = layer.interval(*ends)
    values = outputs(model, parts)
    assert (values >= box.lower.numpy() - 1e-5).all()
    assert (values <= box.upper.numpy() + 1e-5).all()


@pytest.mark.parametrize("name", sorted(set(LAYERS) - DECREASING))
def test_intervals_of_increasing_layers_are_their_values_at_the_ends(name):
    model, layer = model_of(name)
    parts = boxes(len(model.inputs))
    ends = [one_or_list([getattr(b, end) for b in parts]) for end in ("lower", "upper")]
    for bound, end in zip(layer.interval(*ends), ends, strict=True):
        np.testing.assert_allclose(bound, model(end, training=False), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", LAYERS)
def test_symbolic_contains_outputs(name):
    model, layer = model_of(name)
    parts = boxes(len(model.inputs))
    box = layer.symbolic(one_or_list([zonotope_of(b) for b in parts])).box
    values = outputs(model, parts)
    assert (values >= box.lower.numpy() - 1e-5).all()
    assert (values <= box.upper.numpy() + 1e-5).all()


@pytest.mark.parametrize("name", sorted(set(LAYERS) - BENT))
def test_symbolic_is_exact_on_affine_layers(name):
    """Output at any values of the symbols is the layer at that point: nothing is widened."""
    model, layer = model_of(name)
    zonotopes = [zonotope_of(b) for b in boxes(len(model.inputs))]
    image = layer.symbolic(one_or_list(zonotopes))
    draw = np.random.default_rng(2)
    values = {
        symbols: draw.uniform(-1, 1, (2, generators.shape[1])).astype(np.float32)
        for z in zonotopes
        for symbols, generators in z.blocks.items()
    }

    def at(z):
        moves = [tf.einsum("bk,bk...->b...", values[s], g) for s, g in z.blocks.items()]
        return (z.centre + tf.add_n(moves)).numpy()

    expected = model(one_or_list([at(z) for z in zonotopes]), training=False)
    np.testing.assert_allclose(at(image), expected, rtol=0, atol=1e-4)
    assert image.blocks.keys() == values.keys()


def test_values_of_the_same_symbols_move_together():
    z = zonotope_of(boxes(1)[0])
    negative = layers.Rescaling(-1.0).symbolic(z)
    box = layers.Add().symbolic([z, negative]).box
    np.testing.assert_allclose(box.upper - box.lower, 0.0, atol=1e-6)


def test_activations_add_symbols_of_their_own():
    z = zonotope_of(boxes(1)[0])
    image = layers.ReLU().symbolic(z)
    assert image.blocks.keys() > z.blocks.keys()
    again = layers.ReLU().symbolic(z)
    assert image.blocks.keys() & again.blocks.keys() == z.blocks.keys()


@pytest.mark.parametrize("name", LAYERS)
def test_layers_are_saved_and_loaded_as_themselves(name, tmp_path):
    model, _ = model_of(name)
    model.save(tmp_path / "layer.keras")
    loaded = keras.models.load_model(tmp_path / "layer.keras")
    assert type(loaded.layers[-1]) is getattr(layers, name)
    parts = boxes(len(model.inputs))
    np.testing.assert_array_equal(outputs(loaded, parts), outputs(model, parts))
    ends = [one_or_list([getattr(b, end) for b in parts]) for end in ("lower", "upper")]
    before, after = (m.layers[-1].interval(*ends) for m in (model, loaded))
    np.testing.assert_array_equal(before.lower, after.lower)
