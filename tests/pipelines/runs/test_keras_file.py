"""From a .keras file to the float32 network that a run certifies, or one line why not."""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from pipelines.runs import network_file
from pipelines.runs.external_network import GivenFile
from rt_tf.certification.ladder import Ladder
from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.interchange.parity import Comparer
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf

SHAPE = (6, 6, 1)
IMAGES = np.random.default_rng(0).uniform(size=(12, *SHAPE)).astype(np.float32)


class Unregistered(layers.Dense):
    """Not registered with Keras; `test_...custom` makes it impossible to import as well."""


class Subclassed(keras.Model):
    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.dense = layers.Dense(4)

    def call(self, x):
        return self.dense(layers.Flatten()(x))


def sequential(*tail: layers.Layer) -> keras.Model:
    keras.utils.set_random_seed(0)
    head = [layers.Conv2D(3, 3, activation="relu"), layers.Flatten()]
    return keras.Sequential([keras.Input(SHAPE), *head, *tail])


def functional(*tail: layers.Layer) -> keras.Model:
    """With batch norm, a sum and an inner model."""
    keras.utils.set_random_seed(0)
    image = keras.Input(SHAPE)
    x = layers.BatchNormalization()(layers.Conv2D(3, 3, padding="same")(image))
    x = layers.Add()([layers.ReLU()(x), x])
    inner = keras.Sequential([keras.Input((6, 6, 3)), layers.Flatten(), *tail])
    return keras.Model(image, inner(x))


def saved(model: keras.Model, folder: Path) -> Path:
    model.save(folder / "my.keras")
    return folder / "my.keras"


def read(path: Path) -> tuple[keras.Model, list[str]]:
    adopted = network_file.read(GivenFile("keras_file", path))
    return adopted.network, adopted.notes


@pytest.mark.parametrize("make", [sequential, functional])
def test_a_float32_network_of_logits_stays_as_it_is(make, tmp_path: Path) -> None:
    model = make(layers.Dense(4))
    network, notes = read(saved(model, tmp_path))
    assert notes == []
    np.testing.assert_array_equal(network(IMAGES), model(IMAGES))


@pytest.mark.parametrize("make", [sequential, functional])
@pytest.mark.parametrize(
    "tail",
    [
        [layers.Dense(4, activation="softmax")],
        [layers.Dense(4), layers.Softmax()],
        [layers.Dense(4), layers.Activation("softmax")],
    ],
    ids=["activation", "layer", "activation_layer"],
)
def test_a_final_softmax_is_left_out_and_said(make, tail, tmp_path: Path) -> None:
    model = make(*[type(layer).from_config(layer.get_config()) for layer in tail])
    network, notes = read(saved(model, tmp_path))
    assert notes == ["the final softmax is left out: it keeps the order of the logits"]
    logits = network(IMAGES).numpy()
    assert not np.allclose(logits.sum(axis=1), 1.0)
    np.testing.assert_allclose(tf.nn.softmax(logits), model(IMAGES), atol=1e-6)


def test_a_softmax_of_keras_ops_is_left_out_too(tmp_path: Path) -> None:
    inner = functional(layers.Dense(4))
    path = saved(keras.Model(inner.inputs, keras.ops.softmax(inner.outputs[0])), tmp_path)
    network, notes = read(path)
    assert len(notes) == 1
    np.testing.assert_array_equal(network(IMAGES), inner(IMAGES))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_what_layers_derive_from_their_weights_is_copied(policy: str, tmp_path: Path) -> None:
    """An adapted normalisation computes by constants that it made of its weights."""
    keras.config.set_dtype_policy(policy)
    try:
        norm = layers.Normalization()
        norm.adapt(5.0 * IMAGES + 3.0)
        model = keras.Sequential([keras.Input(SHAPE), norm, *sequential(layers.Dense(4)).layers,
                                  layers.Softmax()])  # fmt: skip
    finally:
        keras.config.set_dtype_policy("float32")
    network, _ = read(saved(model, tmp_path))
    again = keras.models.load_model(saved(network, tmp_path))
    np.testing.assert_array_equal(network(IMAGES), again(IMAGES))
    probabilities = tf.cast(model(IMAGES), tf.float32)
    rough = 1e-6 if policy == "float32" else 0.05
    np.testing.assert_allclose(tf.nn.softmax(network(IMAGES)), probabilities, atol=rough)
    assert np.ptp(probabilities) > 0.1


def test_a_block_that_is_used_twice_is_so_in_the_copy(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    row = keras.Input((4,))
    block = keras.Model(row, layers.Dense(4, "tanh", name="dense")(row), name="block")
    image = keras.Input(SHAPE)
    x = layers.Dense(4, name="dense")(layers.Flatten()(image))
    model = keras.Model(image, block(block(x)))
    network, notes = read(saved(model, tmp_path))
    assert notes == []
    np.testing.assert_array_equal(network(IMAGES), model(IMAGES))
    assert len({id(weight) for weight in network.weights}) == len(model.weights) == 4


@pytest.mark.parametrize("end", [{"activation": "softmax"}, None], ids=["activation", "layer"])
def test_of_a_block_that_is_used_twice_the_last_softmax_alone_is_left_out(
    end: dict | None, tmp_path: Path
) -> None:
    row = keras.Input((4,))
    y = layers.Dense(4, **(end or {}))(row)
    block = keras.Model(row, y if end else layers.Softmax()(y), name="refine")
    image = keras.Input(SHAPE)
    model = keras.Model(image, block(block(layers.Dense(4)(layers.Flatten()(image)))))
    network, notes = read(saved(model, tmp_path))
    assert notes == ["the final softmax is left out: it keeps the order of the logits"]
    np.testing.assert_allclose(tf.nn.softmax(network(IMAGES)), model(IMAGES), atol=1e-6)


@pytest.mark.parametrize("activation", ["linear", "sigmoid"])
def test_one_output_is_two_classes(activation: str, tmp_path: Path) -> None:
    model = functional(layers.Dense(1, activation))
    network, notes = read(saved(model, tmp_path))
    logits, values = network(IMAGES).numpy(), model(IMAGES).numpy()
    np.testing.assert_array_equal(logits[:, 0], 0.0)
    ours = logits[:, 1:] if activation == "linear" else tf.sigmoid(logits[:, 1:])
    np.testing.assert_allclose(ours, values, atol=1e-6)
    assert notes[-1] == "its one logit z is the second of two classes, whose logits are 0 and z"
    adopted = network_file.read(GivenFile("keras_file", tmp_path / "my.keras"))
    assert Comparer(adopted.network, adopted.original).compare(IMAGES).ties == 0


def test_one_of_several_outputs_is_named(tmp_path: Path) -> None:
    start = keras.Input(SHAPE)
    flat = layers.Flatten()(start)
    outputs = [layers.Dense(4, name="first")(flat), layers.Dense(3, name="second")(flat)]
    path = GivenFile("keras_file", saved(keras.Model(start, outputs), tmp_path))
    network = network_file.read(path, "second").network
    np.testing.assert_array_equal(network(IMAGES), keras.Model(start, outputs)(IMAGES)[1])
    for name, received in ((None, "none"), ("third", "'third'")):
        message = f"network_output: expected one of the outputs .*, first, second; .* {received}"
        with pytest.raises(UserError, match=message):
            network_file.read(path, name)


@pytest.mark.parametrize(("depth", "is_read"), [(40, True), (150, False), (400, False)])
def test_models_inside_models_are_read_or_refused(
    depth: int, is_read: bool, tmp_path: Path
) -> None:
    """Of some depth on, Python does not follow, in reading or, at the latest, in computing."""
    plain = keras.Sequential([keras.Input(SHAPE), layers.Flatten(), layers.ReLU()])
    whole = saved(keras.Sequential([keras.Input(SHAPE), plain]), tmp_path)
    with zipfile.ZipFile(whole) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    config = json.loads(parts["config.json"])
    shell = (
        '{"module": "keras", "class_name": "Sequential", "config": {"name": "s%d", "layers": [%s]}}'
    )
    inner = json.dumps(config["config"]["layers"][1])
    for i in range(depth):
        inner = shell % (i, inner)
    outer = json.dumps(config["config"]["layers"][0])
    text = shell % (depth, f"{outer}, {inner}")
    with zipfile.ZipFile(tmp_path / "deep.keras", "w") as target:
        for name, content in {**parts, "config.json": text.encode()}.items():
            target.writestr(name, content)
    deep = GivenFile("keras_file", tmp_path / "deep.keras")
    if is_read:
        network, _, original = network_file.read(deep)
        np.testing.assert_array_equal(network(IMAGES), IMAGES.reshape(12, -1))
        np.testing.assert_array_equal(original.answers(IMAGES), IMAGES.reshape(12, -1))
    else:
        with pytest.raises(UserError, match="keras_file: expected") as caught:
            network_file.read(deep).original.answers(IMAGES)
        assert len(str(caught.value)) < 400


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
@pytest.mark.parametrize("make", [sequential, functional])
def test_other_precisions_are_copied_to_float32(make, policy: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = make(layers.Dense(4))
    finally:
        keras.config.set_dtype_policy("float32")
    network, notes = read(saved(model, tmp_path))
    assert len(notes) == 1
    assert notes[0].startswith("this is the float32 copy of a network in ")
    assert policy in notes[0]
    assert trace(network).float32
    assert {weight.dtype for weight in network.weights} == {"float32"}
    rough = 0.05 if "16" in policy else 1e-5
    np.testing.assert_allclose(network(IMAGES), tf.cast(model(IMAGES), tf.float32), atol=rough)


def test_whole_grey_levels_as_input_become_real_ones(tmp_path: Path) -> None:
    """A uint8 input would cut off what is certified between two grey levels."""
    head = [keras.Input(SHAPE, dtype="uint8"), layers.Rescaling(1 / 255)]
    model = keras.Sequential([*head, *sequential(layers.Dense(4)).layers])
    network, notes = read(saved(model, tmp_path))
    assert "uint8" in notes[0]
    levels = np.round(255 * IMAGES)
    expected = model(levels.astype(np.uint8))
    np.testing.assert_allclose(network(levels), expected, atol=1e-5)
    assert not np.allclose(network(IMAGES), expected, atol=1e-5)


@pytest.mark.parametrize("rung", ["interval", "crown_ibp"])
@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-1.0, 1.0)])
def test_margins_do_not_depend_on_the_pixels_unit(
    low: float, high: float, rung: str, tmp_path: Path
) -> None:
    """The same network, once of pixels in [0, 1] and once undoing another range itself."""
    tf.config.experimental.enable_tensor_float_32_execution(False)
    plain = sequential(layers.Dense(8, activation="relu"), layers.Dense(4))
    undo = layers.Rescaling(1 / (high - low), offset=-low / (high - low))
    undoing = keras.Sequential([keras.Input(SHAPE), undo, *plain.layers])
    network, notes = read(saved(undoing, tmp_path))
    assert notes == []
    labels = plain(IMAGES).numpy().argmax(axis=1)
    wiring = trace(network, domain=Domain(low, high))
    cases = [
        (trace(plain), IMAGES, 0.02),
        (wiring, low + (high - low) * IMAGES, 0.02 * (high - low)),
    ]
    margins = [
        [findings[rung].margin for _, findings in Ladder(w, Linf(), [rung]).climb(x, labels, eps)]
        for w, x, eps in cases
    ]
    np.testing.assert_allclose(*margins, atol=5e-4)
    assert np.ptp(margins[0]) > 0.01


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        read(path)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 400
    return text


def test_lambda_layers_are_not_run(tmp_path: Path) -> None:
    model = sequential(layers.Lambda(lambda x: 2 * x), layers.Dense(4))
    assert "holds Python code (a Lambda layer)" in refusal(saved(model, tmp_path))


def test_custom_objects_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(sequential(Unregistered(4)), tmp_path)
    monkeypatch.delattr(f"{__name__}.Unregistered")
    assert "holds the custom object 'Unregistered', unknown here" in refusal(path)


def test_subclassed_models_are_refused(tmp_path: Path) -> None:
    model = Subclassed()
    model(IMAGES)
    path = saved(model, tmp_path)
    assert "the custom object 'Subclassed'" in refusal(path)


def test_quantised_layers_are_refused(tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input((36,)), layers.Dense(4)])
    model.layers[0].quantize("int8")
    assert "unquantised computation" in refusal(saved(model, tmp_path))


@pytest.mark.filterwarnings("ignore:You are saving a model that has not yet been built")
def test_models_without_a_shape_are_refused(tmp_path: Path) -> None:
    model = keras.Sequential([layers.Flatten(), layers.Dense(4)])
    assert "known input shape" in refusal(saved(model, tmp_path))


def test_layers_without_bounds_are_refused_by_name(tmp_path: Path) -> None:
    model = sequential(layers.Masking(name="mask"), layers.Dense(4))
    assert "layer 'mask': Masking" in refusal(saved(model, tmp_path))


def test_a_file_without_its_weights_is_refused(tmp_path: Path) -> None:
    whole = saved(sequential(layers.Dense(4)), tmp_path)
    partial = tmp_path / "partial.keras"
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(partial, "w") as target:
        for name in ("config.json", "metadata.json"):
            target.writestr(name, source.read(name))
    assert "expected a readable .keras file" in refusal(partial)
