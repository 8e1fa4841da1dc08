"""A network is compared with its file before anything is said: no wrong conversion gets past."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from pipelines.runs import keras_file, network_file
from pipelines.runs.directory import RunDirectory
from pipelines.runs.external_network import GivenFile
from pipelines.runs.network_file import Adopted
from pipelines.stages import publish
from pipelines.stages.adopting import DRAWN, compared
from rt_tf import data
from rt_tf.domain import UNIT, Domain
from rt_tf.errors import UserError
from rt_tf.interchange import onnx_file, operations, probes
from rt_tf.interchange.nodes.call import Call
from rt_tf.interchange.nodes.values import Value
from tests.interchange.files import node, normal, save
from tests.pipelines.conftest import run

SHAPE = (8, 8, 1)
Weights = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def digits(digits_dir: Path) -> data.DataSet:
    return data.load("digits", digits_dir)


def randomised(model: keras.Model, size: float = 1.5) -> keras.Model:
    """With weights none of which is a layer's initial one."""
    random = np.random.default_rng(1)
    for weight in model.weights:
        width = size * max(1, int(np.prod(weight.shape[:-1]))) ** -0.5
        values = random.normal(0.0, width, weight.shape)
        weight.assign(np.abs(values) + 0.1 if weight.name.endswith("variance") else values)
    return model


def convolutional() -> keras.Model:
    """As adopted: flat and functional, so that a test can change it."""
    image = keras.Input(SHAPE, name="input")
    x = layers.Conv2D(4, 3, 2, "same", name="conv")(image)
    x = layers.LeakyReLU(0.2, name="leak")(layers.BatchNormalization(name="norm")(x))
    x = layers.AveragePooling2D(2, name="pool")(layers.Conv2D(4, 3, 1, "same", name="again")(x))
    x = layers.Dense(16, "relu", name="a")(layers.Flatten()(x))
    x = layers.Dense(16, "relu", name="b")(x)
    x = layers.Dense(16, "relu", name="c")(x)
    return randomised(keras.Model(image, layers.Dense(10, name="logits")(x)))


def flat(*end: layers.Layer) -> keras.Model:
    dense = [layers.Dense(12, "relu", name="hidden"), layers.Dense(10, name="logits")]
    return randomised(keras.Sequential([keras.Input(SHAPE), layers.Flatten(), *dense, *end]))


def read(model: keras.Model, folder: Path) -> Adopted:
    model.save(folder / "my.keras")
    return network_file.read(GivenFile("keras_file", folder / "my.keras"))


def relayered(name: str, kind: str | None = None, **settings: Any) -> Callable:
    """Makes a network with a layer of another kind or with other settings."""

    def change(network: keras.Model) -> keras.Model:
        config = network.get_config()
        (layer,) = [layer for layer in config["layers"] if layer["config"]["name"] == name]
        layer["class_name"] = kind or layer["class_name"]
        layer["config"] |= settings
        other = keras.Model.from_config(config)
        other.set_weights(network.get_weights())
        return other

    return change


def reweighted(edit: Callable[[Weights], dict[str, Any]]) -> Callable:
    """Makes a network with other weights: those that `edit` returns, by path."""

    def change(network: keras.Model) -> keras.Model:
        by_path = {weight.path: weight for weight in network.weights}
        for path, values in edit({path: w.numpy() for path, w in by_path.items()}).items():
            by_path[path].assign(values)
        return network

    return change


def as_bfloat16(values: np.ndarray) -> Any:
    return keras.ops.cast(keras.ops.cast(values, "bfloat16"), "float32")


def nudged(values: np.ndarray) -> np.ndarray:
    """One number is off by a thousandth of itself."""
    other = values.copy()
    other.flat[values.size // 2] *= 1.001
    return other


WRONG = {
    "a slope": relayered("leak", negative_slope=0.01),
    "an epsilon": relayered("norm", epsilon=1.1e-3),
    "an activation": relayered("a", activation="tanh"),
    "a missing activation": relayered("b", activation="linear"),
    "maxima for means": relayered("pool", kind="MaxPooling2D"),
    "a window's padding": relayered("again", dilation_rate=[2, 2]),
    "two layers' weights": reweighted(
        lambda w: {"b/kernel": w["c/kernel"], "c/kernel": w["b/kernel"]}
    ),
    "a missing bias": reweighted(lambda w: {"a/bias": 0.0 * w["a/bias"]}),
    "a transposed matrix": reweighted(lambda w: {"b/kernel": w["b/kernel"].T}),
    "transposed windows": reweighted(lambda w: {"conv/kernel": w["conv/kernel"].swapaxes(0, 1)}),
    "the order of channels": reweighted(lambda w: {"conv/kernel": w["conv/kernel"][..., ::-1]}),
    "the order of classes": reweighted(
        lambda w: {f"logits/{name}": w[f"logits/{name}"][..., ::-1] for name in ("kernel", "bias")}
    ),
    "logits of half the size": reweighted(
        lambda w: {f"logits/{name}": 0.5 * w[f"logits/{name}"] for name in ("kernel", "bias")}
    ),
    "statistics of a batch": reweighted(
        lambda w: {"norm/moving_variance": w["norm/moving_variance"] * 50 / 49}
    ),
    "weights in half precision": reweighted(
        lambda w: {path: as_bfloat16(values) for path, values in w.items()}
    ),
    "one weight": reweighted(lambda w: {"again/kernel": nudged(w["again/kernel"])}),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_conversions_are_refused(name: str, digits: data.DataSet, tmp_path: Path) -> None:
    right = read(convolutional(), tmp_path)
    wrong = right._replace(network=WRONG[name](right.network))
    with pytest.raises(UserError, match="expected a network that computes what") as caught:
        compared(wrong, digits)
    assert "\n" not in str(caught.value)


def test_right_ones_are_not(digits: data.DataSet, tmp_path: Path) -> None:
    for row in compared(read(convolutional(), tmp_path), digits):
        assert row.ties == 0
        assert row.difference <= row.rounding / 4
        assert 0.0 < row.rounding < 1e-4 * row.size


def test_what_no_test_image_shows_is_refused(digits: data.DataSet, tmp_path: Path) -> None:
    """A weight of a pixel that is black in all of them; and a cap that only corners reach."""
    dark = int(digits.test.images().max(axis=0).argmin())
    assert digits.test.images().reshape(-1, 64)[:, dark].max() == 0.0

    def darker(weights: Weights) -> Weights:
        weights["hidden/kernel"][dark] += 0.01
        return weights

    right = read(flat(), tmp_path)
    with pytest.raises(UserError, match="100 random inputs"):
        compared(right._replace(network=reweighted(darker)(right.network)), digits)


def test_what_no_random_input_shows_is_refused(digits: data.DataSet, tmp_path: Path) -> None:
    """A cap on activations that corners of the domain alone reach."""
    right = read(flat(), tmp_path)
    hidden = keras.Model(right.network.inputs, right.network.get_layer("hidden").output)
    drawn = [digits.test.images(), probes.uniform(UNIT, SHAPE, DRAWN)]
    cap = max(float(np.max(hidden(inputs))) for inputs in drawn)
    image = keras.Input(SHAPE)
    capped = layers.ReLU(cap)(hidden(image))
    wrong = keras.Model(image, right.network.get_layer("logits")(capped))
    with pytest.raises(UserError, match="100 extreme inputs"):
        compared(right._replace(network=wrong), digits)


def test_inputs_are_of_the_whole_domain(digits_dir: Path, tmp_path: Path) -> None:
    """Beyond 0 and 1 a cap is reached that images in [0, 1] do not show."""
    right = read(flat(), tmp_path)
    capped = keras.Sequential([keras.Input(SHAPE), layers.ReLU(1.0), *right.network.layers[1:]])
    wrong = right._replace(network=capped)
    assert len(compared(wrong, data.load("digits", digits_dir))) == 3
    with pytest.raises(UserError, match="expected a network that computes what"):
        compared(wrong, data.load("digits", digits_dir, domain=Domain(-1.0, 2.0)))


def test_features_without_limits_are_asked_beyond_the_data() -> None:
    inputs = np.float32([[0.0, -3.0], [1.0, 5.0]])
    wide = probes.bounded(Domain([-np.inf, -10.0], [np.inf, np.inf]), inputs)
    np.testing.assert_array_equal(wide.lower, [-0.5, -10.0])
    np.testing.assert_array_equal(wide.upper, [1.5, 9.0])
    corners = probes.extreme(wide, (2,), 50)
    assert {tuple(row) for row in corners.tolist()} == {
        (-0.5, -10.0), (-0.5, 9.0), (1.5, -10.0), (1.5, 9.0)
    }  # fmt: skip
    drawn = probes.uniform(wide, (2,), 500)
    assert (drawn.min(axis=0) < [-0.45, -9.5]).all()
    assert (drawn.max(axis=0) > [1.45, 8.5]).all()


def test_logits_behind_probabilities_are_compared(digits: data.DataSet, tmp_path: Path) -> None:
    """Labels and, for confident networks, most probabilities are those of halved logits, too."""
    right = read(flat(layers.Softmax()), tmp_path)
    assert right.original.ending == "softmax"
    assert max(row.difference for row in compared(right, digits)) < 1e-4
    halved = WRONG["logits of half the size"](right.network)
    with pytest.raises(UserError, match="of 360 test images 0 have another label"):
        compared(right._replace(network=halved), digits)


def test_probabilities_that_nearly_agree_are_compared(digits: data.DataSet, tmp_path: Path) -> None:
    """Where logits are small, the roundings of the softmax are larger than theirs."""
    model = flat(layers.Softmax())
    for weight in model.weights:
        weight.assign(1e-2 * weight)
    rows = compared(read(model, tmp_path), digits)
    assert 0.0 < max(row.difference for row in rows) < 1e-6


@pytest.mark.parametrize(
    "policy",
    [
        "mixed_float16",
        pytest.param("mixed_bfloat16", marks=pytest.mark.slow),
        pytest.param("float64", marks=pytest.mark.slow),
    ],
)
def test_other_precisions_have_their_own_rounding(
    policy: str, digits: data.DataSet, tmp_path: Path
) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        model = convolutional()
    finally:
        keras.config.set_dtype_policy("float32")
    right = read(model, tmp_path)
    rows = compared(right, digits)
    assert (max(row.difference for row in rows) > 1e-3) == ("16" in policy)
    for name in ("a missing bias", "two layers' weights", "the order of classes"):
        wrong = WRONG[name](read(model, tmp_path).network)
        with pytest.raises(UserError, match="expected a network that computes what"):
            compared(right._replace(network=wrong), digits)


def test_networks_of_whole_numbers_are_asked_about_those(digits_dir: Path, tmp_path: Path) -> None:
    head = [keras.Input(SHAPE, dtype="uint8"), layers.Rescaling(1 / 16)]
    whole = read(keras.Sequential([*head, *flat().layers]), tmp_path)
    levels = data.load("digits", digits_dir, domain=Domain(0.0, 16.0))
    assert len(compared(whole, levels)) == 3
    with pytest.raises(UserError, match=r"whole numbers.* in \[0, 1\]; --input_range=0,16"):
        compared(whole, data.load("digits", digits_dir))


@pytest.mark.filterwarnings("ignore:overflow")
def test_answers_that_are_not_finite_are_refused(digits: data.DataSet, tmp_path: Path) -> None:
    model = flat()
    model.layers[-1].kernel.assign(1e38 * np.ones((12, 10)))
    with pytest.raises(UserError, match="expected finite outputs"):
        compared(read(model, tmp_path), digits)


def onnx_network(path: Path) -> Path:
    weights = {"k": normal(4, 1, 3, 3), "c": normal(4, seed=4), "m": normal(1, 1, 8, 8, seed=5)}
    weights |= {"w": normal(144, 20, seed=1, size=0.1), "b": normal(20, seed=6)}
    weights |= {"v": normal(10, 20, seed=2), "d": normal(10, seed=7)}
    nodes = [node("Sub", "x m", "s"), node("Conv", "s k c", "z"), node("LeakyRelu", "z", "h")]
    nodes += [node("Flatten", "h", "f"), node("MatMul", "f w", "u"), node("Add", "u b", "t")]
    nodes += [node("Relu", "t", "g"), node("Gemm", "g v d", "l", transB=1)]
    return save(path, [*nodes, node("Softmax", "l", "y")], weights, (1, 1, 8, 8))


def with_operand(i: int, change: Callable[[np.ndarray], np.ndarray], op: str) -> Callable:
    """A conversion that reads operand i of an operation wrongly."""
    right = operations.OPERATIONS[op]

    def convert(call: Call) -> Value:
        operands = list(call.operands)
        operands[i] = change(operands[i])
        return right(call._replace(operands=operands))

    return convert


ONNX_WRONG = {
    "an activation": ("LeakyRelu", operations.OPERATIONS["Relu"]),
    "a slope": ("LeakyRelu", lambda call: operations.OPERATIONS["Elu"](call)),
    "a transposed window": ("Conv", with_operand(1, lambda k: k.swapaxes(2, 3), "Conv")),
    "a missing bias": ("Add", lambda call: call.value()),
    "channels first": ("MatMul", with_operand(1, lambda w: w.reshape(4, 36, 20)
        .swapaxes(0, 1).reshape(144, 20), "MatMul")),
    "a sum for a difference": ("Sub", operations.OPERATIONS["Add"]),
    "an order of classes": ("Gemm", with_operand(1, lambda v: v[::-1], "Gemm")),
    "rounded weights": ("Gemm", with_operand(1, lambda v: np.asarray(as_bfloat16(v)), "Gemm")),
}  # fmt: skip


@pytest.mark.parametrize("name", ONNX_WRONG)
def test_wrong_conversions_of_onnx_are_refused(
    name: str, digits: data.DataSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the file is read, and, were it not for that, on the data set."""
    path = onnx_network(tmp_path / "my.onnx")
    monkeypatch.setitem(operations.OPERATIONS, *ONNX_WRONG[name])
    with pytest.raises(UserError, match="onnx_file: expected a network that computes what"):
        onnx_file.read(path)
    monkeypatch.setattr(onnx_file, "_check", lambda network: None)
    wrong = network_file.read(GivenFile("onnx_file", path))
    with pytest.raises(UserError, match="onnx_file: expected a network that computes what"):
        compared(wrong, digits)


def test_right_conversions_of_onnx_are_not(digits: data.DataSet, tmp_path: Path) -> None:
    path = onnx_network(tmp_path / "my.onnx")
    for row in compared(network_file.read(GivenFile("onnx_file", path)), digits):
        assert row.ties == 0
        assert row.difference <= row.rounding / 2


def flags_for(folder: Path, digits_dir: Path) -> list[str]:
    places = [f"--keras_file={folder / 'my.keras'}", f"--model_dir={folder / 'run'}"]
    return [*places, f"--data_dir={digits_dir}", "--dataset=digits", "--epsilon=0.01",
            "--samples=5", "--rungs=interval"]  # fmt: skip


def test_nothing_is_written_of_a_network_that_differs(
    digits_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flat().save(tmp_path / "my.keras")
    copied = keras_file.copied
    unbiased = reweighted(lambda w: {"hidden/bias": 0.0 * w["hidden/bias"]})
    monkeypatch.setattr(keras_file, "copied", lambda *arguments: unbiased(copied(*arguments)))
    with pytest.raises(UserError, match=r"of 360 test images \d+ have another label"):
        run("certify", *flags_for(tmp_path, digits_dir))
    assert not (tmp_path / "run").exists()


def test_the_worst_difference_is_told(
    digits_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Before anything else is; that it is in the report, its page and card, tells test_given."""

    def ended(*arguments: Any) -> None:
        raise KeyboardInterrupt

    flat(layers.Softmax()).save(tmp_path / "my.keras")
    monkeypatch.setattr(publish, "export_model", ended)
    with pytest.raises(KeyboardInterrupt):
        run("certify", *flags_for(tmp_path, digits_dir))
    origin = RunDirectory(tmp_path / "run").facts()["given"]
    kinds = [(row["inputs"], row["kind"]) for row in origin["comparisons"]]
    assert kinds == [(360, "test images"), (100, "random inputs"), (100, "extreme inputs")]
    worst = max(row["difference"] for row in origin["comparisons"])
    sentence = f"all labels agree; logits differ by at most {worst:.2g} (of "
    assert sentence in capsys.readouterr().out
