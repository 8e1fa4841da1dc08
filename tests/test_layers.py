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

L = keras.layers

# Every class with settings; several inputs where the layer takes them.
LAYERS = {
    "Activation": ("relu",),
    "ActivityRegularization": (0.1,),
    "Add": (),
    "AlphaDropout": (0.5,),
    "AugMix": (),
    "Average": (),
    "AveragePooling1D": (2,),
    "AveragePooling2D": (2,),
    "AveragePooling3D": (2,),
    "BatchNormalization": (),
    "CenterCrop": (2, 3),
    "Concatenate": (1,),
    "Conv1D": (3, 2),
    "Conv1DTranspose": (3, 2, 2),
    "Conv2D": (3, 2),
    "Conv2DTranspose": (3, 2, 2),
    "Conv3D": (3, 2),
    "Conv3DTranspose": (3, 2, 2),
    "Cropping1D": (1,),
    "Cropping2D": (1,),
    "Cropping3D": (((1, 0), (0, 1), (1, 1)),),
    "CutMix": (),
    "Dense": (3,),
    "DepthwiseConv1D": (3, 1, "same", 2),
    "DepthwiseConv2D": (3, 1, "same", 2),
    "Dropout": (0.5,),
    "ELU": (0.5,),
    "EinsumDense": ("abcd,cde->abe", (4, 3)),
    "Flatten": (),
    "GaussianDropout": (0.5,),
    "GaussianNoise": (0.5,),
    "GlobalAveragePooling1D": (),
    "GlobalAveragePooling2D": (),
    "GlobalAveragePooling3D": (),
    "GlobalMaxPooling1D": (),
    "GlobalMaxPooling2D": (),
    "GlobalMaxPooling3D": (),
    "Identity": (),
    "LeakyReLU": (0.1,),
    "MaxPooling1D": (3, 1),
    "MaxPooling2D": (3, 1),
    "MaxPooling3D": ((1, 2, 2), 1),
    "Maximum": (),
    "Minimum": (),
    "MixUp": (),
    "Normalization": (-1, [0.4, 0.6], [0.1, 0.2]),
    "PReLU": (),
    "Permute": ((3, 1, 2),),
    "RandAugment": (),
    "RandomBrightness": (0.2,),
    "RandomColorDegeneration": (0.5,),
    "RandomColorJitter": (),
    "RandomContrast": (0.2,),
    "RandomCrop": (4, 4),
    "RandomElasticTransform": (),
    "RandomErasing": (),
    "RandomFlip": (),
    "RandomGaussianBlur": (),
    "RandomGrayscale": (),
    "RandomHue": (0.2,),
    "RandomInvert": (),
    "RandomPerspective": (),
    "RandomPosterization": (4,),
    "RandomRotation": (0.1,),
    "RandomSaturation": (0.2,),
    "RandomSharpness": (0.5,),
    "RandomShear": (),
    "RandomTranslation": (0.1, 0.1),
    "RandomZoom": (0.1,),
    "ReLU": (),
    "RepeatVector": (3,),
    "Rescaling": (-2.0, 0.5),
    "Reshape": ((8, 4),),
    "Resizing": (3, 5),
    "SeparableConv1D": (3, 2),
    "SeparableConv2D": (3, 2),
    "Solarization": (),
    "SpatialDropout1D": (0.5,),
    "SpatialDropout2D": (0.5,),
    "SpatialDropout3D": (0.5,),
    "SpectralNormalization": (L.Dense(3),),
    "Subtract": (),
    "TimeDistributed": (L.Dense(3),),
    "UpSampling1D": (2,),
    "UpSampling2D": (2,),
    "UpSampling3D": (2,),
    "ZeroPadding1D": (1,),
    "ZeroPadding2D": (1,),
    "ZeroPadding3D": (1,),
    "AdditiveAttention": (),
    "Attention": (True,),
    "Dot": (2,),
    "GroupNormalization": (2,),
    "GroupedQueryAttention": (2, 2, 1),
    "LayerNormalization": (),
    "MultiHeadAttention": (2, 2),
    "Multiply": (),
    "RMSNormalization": (),
    "Softmax": (),
    "UnitNormalization": (),
}
ATTENTION = {"AdditiveAttention", "Attention", "GroupedQueryAttention", "MultiHeadAttention"}
MERGES = {"Add", "Average", "Concatenate", "Maximum", "Minimum", "Subtract", "Multiply", "Dot"}
MERGES |= ATTENTION  # of two inputs
BENT = {"Activation", "ELU", "LeakyReLU", "Maximum", "Minimum", "PReLU", "ReLU"}
PRODUCTS = {"Dot", "Multiply", "Softmax", *ATTENTION}
PRODUCTS |= {f"{kind}Normalization" for kind in ("Group", "Layer", "RMS", "Unit")}
BENT |= PRODUCTS
BENT |= {f"{kind}Pooling{n}D" for kind in ("GlobalMax", "Max") for n in (1, 2, 3)}
DECREASING = {  # in some inputs
    *("BatchNormalization", "Dense", "EinsumDense", "Rescaling", "SpectralNormalization"),
    *("PReLU", "Subtract", "TimeDistributed"),
    *(name for name in LAYERS if "Conv" in name),
    *PRODUCTS,
}
QUICK = [k for k in LAYERS if not k.startswith(("Aug", "Cut", "Mix", "Rand", "Solar", "Spatial"))]


def each(names):
    """Parameters of a test, of which those that do nothing at inference are mostly slow."""
    return pytest.mark.parametrize(
        "name", networks.mostly_slow(sorted(names), [*QUICK, "RandomFlip"])
    )


RANGE = (-1.0, 1.0)
SAMPLES = 300


def shape_of(name):
    """The shape of the layer's inputs: with as many axes of places as its name says."""
    if name == "RepeatVector":
        return (6,)
    if name in ATTENTION or name == "Dot":
        return (3, 4)
    if name == "RandomColorDegeneration":
        return (4, 4, 3)
    return {"1D": (5, 2), "3D": (3, 2, 3, 2)}.get(
        name.removesuffix("Transpose")[-2:], networks.SHAPE
    )


def public():
    return {
        k for k, v in vars(layers).items() if isinstance(v, type) and issubclass(v, keras.Layer)
    }


def model_of(name):
    """A model of the layer alone, its random weights, and the layer."""
    layer = getattr(layers, name)(*LAYERS[name])
    inputs = [keras.Input(shape_of(name)) for _ in range(2 if name in MERGES else 1)]
    by_name = name in ("GroupedQueryAttention", "MultiHeadAttention")
    output = layer(*inputs) if by_name else layer(one_or_list(inputs))
    return networks.randomize(keras.Model(one_or_list(inputs), output)), layer


def boxes(model, seed=0):
    rng = np.random.default_rng(seed)
    middle = rng.uniform(*RANGE, (len(model.inputs), 2, *model.inputs[0].shape[1:])).astype(
        np.float32
    )
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


@each(LAYERS)
def test_interval_contains_outputs(name):
    model, layer = model_of(name)
    parts = boxes(model)
    ends = [one_or_list([getattr(b, end) for b in parts]) for end in ("lower", "upper")]
    box = layer.interval(*ends)
    values = outputs(model, parts)
    assert (values >= box.lower.numpy() - 1e-5).all()
    assert (values <= box.upper.numpy() + 1e-5).all()


@each(set(LAYERS) - DECREASING)
def test_intervals_of_increasing_layers_are_their_values_at_the_ends(name):
    model, layer = model_of(name)
    parts = boxes(model)
    ends = [one_or_list([getattr(b, end) for b in parts]) for end in ("lower", "upper")]
    for bound, end in zip(layer.interval(*ends), ends, strict=True):
        np.testing.assert_allclose(bound, model(end, training=False), rtol=0, atol=1e-5)


@each(LAYERS)
def test_symbolic_contains_outputs(name):
    model, layer = model_of(name)
    parts = boxes(model)
    box = layer.symbolic(one_or_list([zonotope_of(b) for b in parts])).box
    values = outputs(model, parts)
    assert (values >= box.lower.numpy() - 1e-5).all()
    assert (values <= box.upper.numpy() + 1e-5).all()


@each(set(LAYERS) - BENT)
def test_symbolic_is_exact_on_affine_layers(name):
    """Output at any values of the symbols is the layer at that point: nothing is widened."""
    model, layer = model_of(name)
    zonotopes = [zonotope_of(b) for b in boxes(model)]
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
    z = zonotope_of(boxes(model_of("ReLU")[0])[0])
    negative = layers.Rescaling(-1.0).symbolic(z)
    box = layers.Add().symbolic([z, negative]).box
    np.testing.assert_allclose(box.upper - box.lower, 0.0, atol=1e-6)


def test_activations_add_symbols_of_their_own():
    z = zonotope_of(boxes(model_of("ReLU")[0])[0])
    image = layers.ReLU().symbolic(z)
    assert image.blocks.keys() > z.blocks.keys()
    again = layers.ReLU().symbolic(z)
    assert image.blocks.keys() & again.blocks.keys() == z.blocks.keys()


@each(LAYERS)
def test_layers_are_saved_and_loaded_as_themselves(name, tmp_path):
    model, _ = model_of(name)
    model.save(tmp_path / "layer.keras")
    loaded = keras.models.load_model(tmp_path / "layer.keras")
    assert type(loaded.layers[-1]) is getattr(layers, name)
    parts = boxes(model)
    np.testing.assert_array_equal(outputs(loaded, parts), outputs(model, parts))
    ends = [one_or_list([getattr(b, end) for b in parts]) for end in ("lower", "upper")]
    before, after = (m.layers[-1].interval(*ends) for m in (model, loaded))
    np.testing.assert_array_equal(before.lower, after.lower)
