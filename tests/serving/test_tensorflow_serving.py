"""Exports as TensorFlow Serving takes them: batches joined from requests, versions, warm-up."""

import logging
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.errors import UserError
from rt_tf.serving import saved_model, versions, warm_up
from rt_tf.threats.linf import Linf
from tests.networks import images, known, randomize

EPSILON = np.float32([0.0, 1e-4, 1e-3, 0.01, 0.3, -0.1])
METHODS = ("certify", "certify_interval", "certify_crown_ibp", "radius")
SIGNATURES = ("serving_default", "serve", *METHODS)


def strided() -> keras.Model:
    """A convolution, of which bounds take the transpose, too."""
    layers = [
        keras.layers.Conv2D(4, 3, 2, "same", activation="relu"),
        keras.layers.Flatten(),
        keras.layers.Dense(3),
    ]
    return randomize(keras.Sequential([keras.Input((6, 6, 1)), *layers]))


def inputs() -> np.ndarray:
    """An image for each radius, of which the third is outside of the domain."""
    batch = images((6, 6, 1), len(EPSILON))
    batch[2, 0, 0, 0] = 1.5
    return batch


class Messages(logging.Handler):
    """All that is logged, as texts."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


class Exported(NamedTuple):
    """A folder, what TensorFlow loads from it, and what it logged on the way there and back."""

    path: Path
    served: Any
    messages: list[str]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    path, messages = tmp_path_factory.mktemp("serving") / "export", Messages()
    loggers = [tf.get_logger(), logging.getLogger("absl")]
    for logger in loggers:
        logger.addHandler(messages)
    try:
        saved_model.export(strided(), Linf(), images((6, 6, 1), 4), path)
        served = tf.saved_model.load(str(path))
    finally:
        for logger in loggers:
            logger.removeHandler(messages)
    return Exported(path, served, messages.texts)


@pytest.fixture(scope="module")
def export(exported: Exported) -> Path:
    return exported.path


@pytest.fixture(scope="module")
def served(exported: Exported) -> Any:
    return exported.served


def ask(served: Any, name: str, image: Any, epsilon: Any) -> dict[str, np.ndarray]:
    arguments = {"image": tf.constant(image), "epsilon": tf.constant(epsilon, tf.float32)}
    return {key: value.numpy() for key, value in served.signatures[name](**arguments).items()}


@pytest.mark.parametrize("name", METHODS)
def test_each_image_is_certified_at_its_own_radius(served: Any, name: str) -> None:
    together = ask(served, name, inputs(), EPSILON)
    for row, (image, epsilon) in enumerate(zip(inputs(), EPSILON, strict=True)):
        alone = ask(served, name, image[np.newaxis], epsilon)  # a scalar
        for key, values in together.items():
            if values.dtype.kind == "f":
                np.testing.assert_allclose(values[row], alone[key][0], rtol=1e-4, atol=1e-6)
            else:
                assert values[row] == alone[key][0]
    decided = together.get("certified", together.get("radius"))
    assert len(set(decided[[0, 1, 3, 4]])) > 1
    assert not decided[[2, 5]].any()  # outside of the domain; a radius below 0


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("epsilon", [[0.1], [0.1] * 5, [], [[0.1]], [[0.1] * 6], [[0.1]] * 6])
def test_radii_of_another_shape_are_refused(served: Any, name: str, epsilon: list) -> None:
    words = r"epsilon: expected one number, or one for each image, \[batch\]; received the shapes"
    with pytest.raises(tf.errors.InvalidArgumentError, match=words):
        ask(served, name, inputs(), epsilon)


@pytest.mark.parametrize(("name", "output"), [("certify", "margin"), ("radius", "radius")])
def test_requests_that_the_server_joins_keep_their_radii(
    served: Any, name: str, output: str
) -> None:
    """TensorFlow's own batching: it concatenates concurrent requests, and refuses scalars."""
    sizes: list[int] = []

    def answer(image: tf.Tensor, epsilon: tf.Tensor) -> tf.Tensor:
        tf.py_function(lambda e: sizes.append(len(e)), [epsilon], [])
        return served.signatures[name](image=image, epsilon=epsilon)[output]

    batched = tf.nondifferentiable_batch_function(2, len(EPSILON), 200_000)(answer)
    rows = list(zip(inputs()[:, np.newaxis], EPSILON[:, np.newaxis], strict=True))
    batched(*map(tf.constant, rows[0]))  # traced before others ask at once
    sizes.clear()
    with ThreadPoolExecutor(len(rows)) as pool:
        answers = list(pool.map(lambda row: batched(*map(tf.constant, row)).numpy()[0], rows))
    assert max(sizes) > 1
    expected = ask(served, name, inputs(), EPSILON)[output]
    np.testing.assert_allclose(answers, expected, rtol=1e-4, atol=1e-6)
    with pytest.raises(tf.errors.InvalidArgumentError, match="at least one dimension"):
        batched(tf.constant(rows[0][0]), tf.constant(0.1))


@pytest.mark.parametrize("name", METHODS)
def test_a_session_answers_by_the_names_of_tensors(export: Path, served: Any, name: str) -> None:
    """The way of the server, which loads the graph, feeds its tensors and fetches others."""
    expected = {0.01: ask(served, name, inputs(), 0.01), None: ask(served, name, inputs(), EPSILON)}
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        graph = tf.compat.v1.saved_model.load(session, ["serve"], str(export))
        signature = graph.signature_def[name]
        fetches = {key: tensor.name for key, tensor in signature.outputs.items()}

        def run(epsilon: Any) -> dict[str, np.ndarray]:
            values = {"image": inputs(), "epsilon": epsilon}
            return session.run(fetches, {signature.inputs[k].name: v for k, v in values.items()})

        for epsilon, answer in expected.items():
            given = run(EPSILON if epsilon is None else epsilon)
            assert given.keys() == answer.keys()
            for key, value in answer.items():
                np.testing.assert_array_equal(given[key], value)
        for wrong in (EPSILON[:1], EPSILON[:2], [EPSILON]):
            with pytest.raises(tf.errors.InvalidArgumentError, match="epsilon: expected one"):
                run(wrong)


@pytest.mark.parametrize("name", SIGNATURES)
def test_inputs_outside_of_the_domain_are_named(served: Any, name: str) -> None:
    batch = inputs()
    batch[3:, 0, 0, 0] = [np.nan, np.inf, -np.inf]
    epsilon = {} if name.startswith("serv") else {"epsilon": tf.constant(0.01)}
    answer = served.signatures[name](image=tf.constant(batch), **epsilon)
    np.testing.assert_array_equal(answer["in_domain"], [True, True, False, False, False, False])


def test_nothing_is_said_of_gradients_and_certificates_have_none(exported: Exported) -> None:
    assert not [text for text in exported.messages if "gradient" in text]
    served = exported.served
    image = tf.constant(images((6, 6, 1), 2))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(image)
        logits = served.serve(image)["logits"]
        margin = served.certify(image, tf.constant(0.1))["margin"]
    assert np.abs(tape.gradient(logits, image)).max() > 0.0
    assert tape.gradient(margin, image) is None


def test_the_warm_up_asks_every_signature(export: Path, served: Any) -> None:
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    file = export / "assets.extra" / "tf_serving_warmup_requests"
    records = [logs.PredictionLog.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(file))]
    requests = [record.predict_log.request for record in records]
    assert {record.WhichOneof("log_type") for record in records} == {"predict_log"}
    assert [request.model_spec.signature_name for request in requests] == list(SIGNATURES)
    for request in requests:
        tensors = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        assert {len(value) for value in tensors.values()} == {1}  # as batching needs it
        signature = served.signatures[request.model_spec.signature_name]
        answer = signature(**{name: tf.constant(value) for name, value in tensors.items()})
        assert answer["in_domain"].numpy().all()


@pytest.mark.parametrize("size", [0, 127, 128, 20_000])
def test_warm_up_requests_are_written_as_protocol_buffers_writes_them(
    tmp_path: Path, size: int
) -> None:
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    tensors = {"image": np.arange(size, dtype=np.float32), "epsilon": np.float32([0.5])}
    warm_up.write(tmp_path / "requests", {"certify": tensors})
    expected = logs.PredictionLog()
    request = expected.predict_log.request
    request.model_spec.signature_name = "certify"
    for name, value in tensors.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    (record,) = tf.data.TFRecordDataset(str(tmp_path / "requests"))
    assert logs.PredictionLog.FromString(record.numpy()) == expected


def test_a_version_is_one_network_for_good(export: Path, tmp_path: Path) -> None:
    base = tmp_path / "served"
    path = versions.publish(export, base, 3)
    assert path == base / "3"
    assert saved_model.damage(path) is None
    assert (path / "assets.extra" / "tf_serving_warmup_requests").exists()
    (path / "mine").touch()
    versions.publish(export, base, 3)  # it stays as it is
    assert (path / "mine").exists()
    (path / "saved_model.pb").write_bytes(b"damaged")
    versions.publish(export, base, 3)
    assert saved_model.damage(path) is None

    other = shutil.copytree(export, tmp_path / "other")
    (other / "assets.extra" / "network.sha256").write_text("another\n")
    with pytest.raises(UserError, match="export_version: expected a new number.*3 holds network"):
        versions.publish(other, base, 3)
    (base / "4").mkdir()
    with pytest.raises(UserError, match="4 holds no export"):
        versions.publish(export, base, 4)
    assert sorted(part.name for part in base.iterdir()) == ["3", "4"]


def test_what_is_no_whole_export_gets_no_version(export: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected an export; .* is none"):
        versions.publish(tmp_path / "nothing", tmp_path / "served", 1)
    broken = shutil.copytree(export, tmp_path / "broken")
    (broken / "fingerprint.pb").write_bytes(b"damaged")
    with pytest.raises(UserError, match="fingerprint.pb is damaged"):
        versions.publish(broken, tmp_path / "served", 1)
    assert not (tmp_path / "served").exists()


def test_the_lite_model_answers_alike(served: Any) -> None:
    """`serve` alone, with TFLite's own operations."""
    functions = [served.signatures["serve"]]
    converter = tf.lite.TFLiteConverter.from_concrete_functions(functions, served)
    lite = tf.lite.Interpreter(model_content=converter.convert()).get_signature_runner()
    batch = inputs()
    answer, expected = lite(image=batch), served.serve(tf.constant(batch))
    np.testing.assert_allclose(answer["logits"], expected["logits"], rtol=1e-4, atol=1e-5)
    for name in ("label", "in_domain"):
        np.testing.assert_array_equal(answer[name], expected[name])


def test_a_network_of_any_domain_names_what_is_outside(tmp_path: Path) -> None:
    network, wiring = known("dense")
    table = saved_model.endpoints(network, Linf(), None)
    image = np.full((3, *wiring.input_shape), 7.0, np.float32)
    image[1].flat[0], image[2].flat[0] = np.inf, np.nan
    answer = table["serve"].compute(tf.constant(image))
    np.testing.assert_array_equal(answer["in_domain"], [True, False, False])
