"""Architectures: the published counts, the options, and what does not fit."""

import math

import keras
import networks
import numpy as np
import pytest

from rt_tf import catalogue, data, models
from rt_tf.errors import UserError

MNIST = (28, 28, 1)
CIFAR = (32, 32, 3)
SMALL = ["digits_cnn", "wong_small", "wong_resnet"]
LARGE = {"resnet50": 32, "preact_resnet18": 8, "wrn_28_10": 8}  # sides they need at least
OWN_NORMALISATION = ["vit"]  # they take no batch normalisation


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


# Parameters and hidden units as published, or by hand from the published layers.
@pytest.mark.parametrize(
    ("name", "shape", "parameters", "units"),
    [
        ("wong_small", MNIST, 166_406, 4_804),
        ("wong_small", CIFAR, 214_918, 6_244),
        ("wong_large", MNIST, 1_974_762, 48_064),
        ("wong_large", CIFAR, 2_466_858, 62_464),
        ("wong_resnet", MNIST, 3_254_562, 82_536),
        ("wong_resnet", CIFAR, 4_214_850, 107_496),
        ("wong_wide", MNIST, 4 * 17 + 8 * 65 + 392 * 128 + 128 + 1290, 784 + 392 + 128),
        ("wong_deep", MNIST, 8 * 17 + 16 * 129 + 784 * 100 + 100 + 1010, 1568 + 784 + 100),
        ("colt", CIFAR, 32 * 49 + 128 * 513 + 8192 * 150 + 150 + 1510, 8192 + 8192 + 150),
        ("mixtrain_fc1", MNIST, 784 * 512 + 512 * 512 + 512 * 10 + 1034, 1_024),
        ("mixtrain_fc2", MNIST, 784 * 2048 + 4 * 2048**2 + 2048 * 10 + 5 * 2048 + 10, 10_240),
        ("madry_cnn", MNIST, 3_274_634, 28 * 28 * 32 + 14 * 14 * 64 + 1024),
        ("digits_cnn", (8, 8, 1), None, 1_636),
        ("digits_fc", (8, 8, 1), 64 * 100 + 100 * 100 + 100 * 10 + 210, 200),
    ],
)
def test_counts(name, shape, parameters, units):
    model = models.build(name, shape, 10)
    assert models.hidden_units(model) == units
    assert parameters is None or model.count_params() == parameters


@pytest.mark.parametrize("name", catalogue.MODELS)
def test_logits_of_every_catalogued_model(name):
    side = LARGE.get(name, 8)
    model = models.build(name, (side, side, 1), 7)
    assert model.name == name
    assert model.output_shape == (None, 7)
    assert model.layers[-1].name == "logits"
    assert keras.activations.serialize(model.layers[-1].activation) == "linear"
    assert model(np.zeros((2, side, side, 1), np.float32)).shape == (2, 7)


def filters(model):
    weighted = [layer for layer in model.layers if hasattr(layer, "kernel")]
    return [layer.kernel.shape[-1] for layer in weighted]


@pytest.mark.parametrize(
    "name", networks.mostly_slow([n for n in catalogue.MODELS if n != "wong_deep"], SMALL)
)
def test_half_a_network_has_half_the_filters_and_units_of_each_layer_but_the_last(name):
    side = LARGE.get(name, 8)
    whole, half = (2, 1) if name == "wong_wide" else (1, 0.5)
    *before, classes = filters(models.build(name, (side, side, 1), 7, scale=whole))
    *after, last = filters(models.build(name, (side, side, 1), 7, scale=half))
    assert [2 * number for number in after] == before
    assert last == classes == 7


@pytest.mark.parametrize(
    ("name", "scale", "parameters", "units"),
    [
        (
            *("cnn7", 0.25),
            448 + 2_320 + 4_640 + 2 * 9_248 + 8192 * 128 + 128 + 1_290,
            2 * 16 * 1024 + 3 * 32 * 256 + 128,
        ),
        ("mixtrain_fc1", 0.001, 3072 + 1 + 1 + 1 + 2 * 10, 2),
        ("wong_deep", 2, 392 + 584 + 2_064 + 2_320 + 102_500 + 1_010, 2 * 2048 + 2 * 1024 + 100),
    ],
)
def test_counts_at_a_scale(name, scale, parameters, units):
    model = models.build(name, CIFAR, 10, scale=scale)
    assert models.hidden_units(model) == units
    assert model.count_params() == parameters


@pytest.mark.parametrize(
    ("name", "scale", "words"),
    [
        ("cnn7", 0.0, "expected a number > 0; received 0"),
        ("cnn7", math.nan, "expected a number > 0; received nan"),
        ("wong_deep", 1.5, "expected a whole number for wong_deep; received 1.5"),
    ],
)
def test_scales_that_there_are_not_are_refused(name, scale, words):
    with pytest.raises(UserError, match=f"model_scale: {words}"):
        models.build(name, CIFAR, 10, scale=scale)


@pytest.mark.parametrize("size", [4, 8, 14, 28, 32])
def test_strided_convolutions_pad_one_pixel_on_every_side(size):
    """For even sizes 'same' is the papers' symmetric padding."""
    x = np.random.default_rng(0).random((2, size, size, 3), dtype=np.float32)
    same = keras.layers.Conv2D(5, 4, strides=2, padding="same")
    expected = same(x)
    valid = keras.layers.Conv2D(5, 4, strides=2, padding="valid")
    valid.build((None, size + 2, size + 2, 3))
    valid.set_weights(same.get_weights())
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    np.testing.assert_allclose(valid(padded), expected, rtol=1e-5, atol=1e-6)


def test_batch_norm_stands_before_every_activation():
    model = models.build("wong_small", MNIST, 10, batch_norm=True)
    assert kinds(model)[1:] == [
        *("Conv2D", "BatchNormalization", "ReLU") * 2,
        "Flatten",
        *("Dense", "BatchNormalization", "ReLU"),
        "Dense",
    ]
    assert models.hidden_units(model) == 4_804


def test_normalization_is_a_layer():
    mean, deviation = [0.49, 0.48, 0.45], [0.2, 0.21, 0.22]
    model = models.build("wong_small", CIFAR, 10, normalization=(mean, deviation))
    plain = models.build("wong_small", CIFAR, 10)
    assert model.layers[1].name == "normalization"
    plain.set_weights(model.get_weights())
    x = np.random.default_rng(0).random((3, *CIFAR), dtype=np.float32)
    expected = plain((x - np.float32(mean)) / np.float32(deviation))
    np.testing.assert_allclose(model(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("normalization", [([0.5], [0.2]), ([0.5] * 3, [0.2, 0.0, 0.2])])
def test_normalization_that_does_not_fit_is_refused(normalization):
    with pytest.raises(UserError, match="normalization: expected .* 3 channels; received"):
        models.build("wong_small", CIFAR, 10, normalization=normalization)


def test_shi_initialisation():
    keras.utils.set_random_seed(0)
    model = models.build("wong_large", MNIST, 10, init="shi")
    weighted = [layer for layer in model.layers if layer.weights]
    for layer in weighted[:-1]:
        kernel, bias = layer.get_weights()
        expected = math.sqrt(2 * math.pi) / math.prod(kernel.shape[:-1])
        spread = 5 / math.sqrt(2 * kernel.size)  # five standard errors of a deviation
        assert kernel.std() == pytest.approx(expected, rel=spread)
        assert not bias.any()


def test_shi_initialisation_keeps_interval_width():
    """Half-widths grow by about mean|W| * fan_in = sqrt(2/pi) * sqrt(2 pi) = 2, halved by ReLU."""
    keras.utils.set_random_seed(0)
    kernel = models.ShiNormal()((4096, 256))
    assert float(np.abs(kernel).sum(0).mean()) == pytest.approx(2.0, rel=0.02)


def test_layers_draw_different_weights_and_the_seed_decides():
    def kernels():
        keras.utils.set_random_seed(3)
        model = models.build("mixtrain_fc2", (4, 4, 1), 10, init="shi")
        return [layer.get_weights()[0] for layer in model.layers if layer.name.startswith("fc")]

    first, again = kernels(), kernels()
    assert not np.array_equal(first[1], first[2])
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "name",
    networks.mostly_slow(list(catalogue.MODELS), ["digits_cnn", "wong_small", "wong_resnet"]),
)
def test_saved_models_come_back(tmp_path, name):
    side = LARGE.get(name, 4)
    batch_norm = name not in OWN_NORMALISATION
    model = models.build(
        name, (side, side, 1), 10, normalization=([0.3], [0.2]), batch_norm=batch_norm, init="shi"
    )
    model.save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    x = np.random.default_rng(0).random((5, side, side, 1), dtype=np.float32)
    np.testing.assert_array_equal(loaded(x), model(x))
    assert [type(layer) for layer in loaded.layers] == [type(layer) for layer in model.layers]
    assert isinstance(loaded.get_layer("logits").kernel_initializer, models.ShiNormal)


@pytest.mark.parametrize(
    ("name", "shape", "multiple"),
    [
        ("wong_small", (7, 7, 1), 4),
        ("wong_large", (30, 32, 3), 4),
        ("madry_cnn", (10, 10, 1), 4),
        ("digits_cnn", (9, 8, 1), 2),
        ("wong_small", (784,), 4),
        ("wong_small", (0, 8, 1), 4),
    ],
)
def test_images_that_do_not_fit_are_refused(name, shape, multiple):
    message = f"model '{name}': expected images .* multiples of {multiple}; received"
    with pytest.raises(UserError, match=message) as caught:
        models.build(name, shape, 10)
    assert "\n" not in str(caught.value)


def test_unknown_names_are_refused_with_what_exists():
    with pytest.raises(UserError, match="model: expected one of .*wong_small.*received 'resnet'"):
        models.build("resnet", MNIST, 10)
    with pytest.raises(UserError, match="init: expected one of keras, shi; received 'he'"):
        models.build("wong_small", MNIST, 10, init="he")


def test_the_digits_network_learns(digits_dir):
    """A check that it learns at all; validation, so that the test split is not tuned on."""
    keras.utils.set_random_seed(0)
    digits = data.load("digits", digits_dir)
    model = models.build("digits_cnn", digits.shape, digits.classes)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(digits.train.images(), digits.train.labels, batch_size=50, epochs=8, verbose=0)
    logits = model.predict(digits.validation.images(), verbose=0)
    assert np.mean(np.argmax(logits, axis=1) == digits.validation.labels) >= 0.95


def test_dense_networks_take_tables():
    model = models.build("table_fc", (13,), 3, normalization=([0.5] * 13, [2.0] * 13))
    assert (model.input_shape, model.output_shape) == ((None, 13), (None, 3))
    assert models.build("mixtrain_fc1", (784,), 10).input_shape == (None, 784)
