"""Networks exported by PyTorch and Keras, against the answers of onnxruntime.

`export_networks.py` makes them; tests need none of the exporters.
"""

import functools
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf

import rt_tf
from rt_tf.bounds.methods import crown_bounds, interval_bounds
from rt_tf.domain import Domain
from rt_tf.interchange import onnx_file
from rt_tf.interchange.onnx_file import OnnxNetwork
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

FOLDER = Path(__file__).parent / "networks"
ANSWERS = np.load(FOLDER / "answers.npz")
NAMES = sorted(path.stem for path in FOLDER.glob("*.onnx"))
QUICK = ("torch_mobile", "torch_residual")
EPS, DOMAIN = 1e-3, Domain(-2.0, 2.0)
BOUNDED = [  # of the same network by two exporters, one
    name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
    for name in NAMES
    if not name.endswith("_old")
]

read = functools.cache(lambda name: onnx_file.read(FOLDER / f"{name}.onnx"))


def outputs(network: OnnxNetwork, inputs: np.ndarray) -> np.ndarray:
    """The model's outputs as the file has them: probabilities, or their logarithms."""
    logits = network.model(network.laid(inputs.reshape(len(inputs), -1)))
    if network.ending.node is None:
        return logits.numpy()
    shares = tf.nn.log_softmax(logits) if network.ending.gives_logarithms else tf.nn.softmax(logits)
    return shares.numpy()


@pytest.mark.parametrize("name", NAMES)
def test_an_export_computes_what_onnxruntime_does(name: str) -> None:
    inputs, wanted = ANSWERS[f"{name}/inputs"], ANSWERS[f"{name}/outputs"]
    assert (wanted.std(axis=0) > 1e-3).all()
    np.testing.assert_allclose(outputs(read(name), inputs), wanted, rtol=1e-5, atol=5e-6)


@pytest.mark.parametrize("name", NAMES)
def test_onnxruntime_gives_the_answers_that_are_kept(name: str) -> None:
    session = onnxruntime.InferenceSession(FOLDER / f"{name}.onnx")
    (given,) = session.get_inputs()
    kind = np.float64 if given.type == "tensor(double)" else np.float32
    inputs, wanted = ANSWERS[f"{name}/inputs"], ANSWERS[f"{name}/outputs"]
    answers = [session.run(None, {given.name: x[np.newaxis].astype(kind)})[0][0] for x in inputs]
    np.testing.assert_allclose(answers, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", BOUNDED)
def test_bounds_of_an_export_hold(name: str) -> None:
    """CROWN's least outputs hold at random points, and are tighter than those of intervals."""
    network = read(name)
    inputs = network.laid(ANSWERS[f"{name}/inputs"].reshape(3, -1))[:1]
    graph = trace(network.model, domain=DOMAIN).lower()
    region = Region(Linf(), tf.constant(inputs), EPS, DOMAIN)
    spec = tf.eye(network.model.output_shape[-1])[tf.newaxis]
    least = crown_bounds(graph, region, spec, arithmetic="sound").margins.numpy()
    loose = interval_bounds(graph, region, spec, arithmetic="sound").margins.numpy()
    moves = np.random.default_rng(0).uniform(-0.99 * EPS, 0.99 * EPS, (50, *inputs.shape[1:]))
    values = network.model((inputs + moves).astype(np.float32)).numpy()
    assert loose.sum() < least.sum()
    assert (least <= values.min(axis=0)).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_export_is_certified(name: str) -> None:
    network = read(name)
    inputs = network.laid(ANSWERS[f"{name}/inputs"].reshape(3, -1))[:1]
    result = rt_tf.certify(
        network.model, inputs, eps=1e-5, domain=DOMAIN, rungs=["crown_ibp"], progress=False
    )
    assert result.certified.all()


@pytest.mark.slow
def test_what_keras_exports_here_is_read(tmp_path: Path) -> None:
    pytest.importorskip("tf2onnx", reason="pip install --no-deps tf2onnx")
    layers = [keras.layers.Conv2D(3, 3, padding="same", activation="relu"), keras.layers.Flatten()]
    model = keras.Sequential([keras.Input((6, 6, 1)), *layers, keras.layers.Dense(3)])
    images = np.random.default_rng(0).random((4, 6, 6, 1), np.float32)
    wanted = model(images)
    model.export(tmp_path / "net.onnx", format="onnx", verbose=False)
    network = onnx_file.read(tmp_path / "net.onnx")
    np.testing.assert_allclose(network.model(images), wanted, rtol=1e-5, atol=1e-5)
