"""Parity of an export with its network."""

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.bounds.methods import crown_ibp_bounds
from rt_tf.bounds.result import margin_spec
from rt_tf.errors import UserError
from rt_tf.network.copying import copied
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring
from rt_tf.serving import endpoints as serving
from rt_tf.serving.saved_model import EXTRA, SUMS, ParityError, _check_equal, damage, export, load
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region
from rt_tf.threats.union import Union
from rt_tf.threats.wasserstein.ball import Wasserstein

CERTIFICATES = ("certify", "certify_interval", "certify_crown_ibp", "radius")
OURS = np.array([1.0, -20.0, np.nan, -np.inf], np.float32)


def test_slack_is_allowed_on_request():
    theirs = OURS + np.float32(0.01)
    _check_equal("radii", OURS, theirs, slack=0.02)
    with pytest.raises(ParityError, match="radii differ by"):
        _check_equal("radii", OURS, theirs, slack=0.005)


def test_rounding_and_what_is_not_finite_are_no_differences():
    _check_equal("logits", OURS, OURS * np.float32(1 + 1e-6))
    _check_equal("logits", np.full(3, np.nan), np.full(3, np.nan))
    _check_equal("logits", OURS[:0], OURS[:0])


@pytest.mark.parametrize(("index", "value"), [(0, 1.01), (0, np.nan), (2, 0.0), (3, 5.0)])
def test_differences_are_refused(index, value):
    theirs = OURS.copy()
    theirs[index] = value
    with pytest.raises(ParityError, match="logits differ"):
        _check_equal("logits", OURS, theirs)


@pytest.mark.parametrize(
    ("threat", "endpoints"),
    [(Wasserstein(), {"serve"}), (Union((0.01, 0.1, 0.0)), {"serve", *CERTIFICATES})],
)
def test_what_is_served_is_what_the_threat_allows(tmp_path, threat, endpoints):
    keras.utils.set_random_seed(0)
    network = keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)]
    )
    images = np.random.default_rng(0).random((4, 4, 4, 1), np.float32)
    export(network, threat, images.astype(np.float64), tmp_path / "export")
    served = load(tmp_path / "export")
    assert {name for name in ("serve", *CERTIFICATES) if hasattr(served, name)} == endpoints
    if "certify" in endpoints:  # the worst of its parts
        answer = served.certify(images, tf.constant(0.5))
        parts = [Region(ball, tf.constant(images), 0.5 * radius) for ball, radius in threat.parts]
        spec = margin_spec(answer["label"], 3)
        least = [
            tf.reduce_min(crown_ibp_bounds(trace(network).lower(), part, spec).margins, axis=1)
            for part in parts
        ]
        np.testing.assert_allclose(answer["margin"], np.min(least, axis=0), atol=1e-3)
        radii = served.radius(images, tf.constant(0.5))
        np.testing.assert_array_equal(radii["radius"] == 0.5, answer["certified"])


def near_ties() -> keras.Model:
    """Its logits differ by less than a float32 softmax tells, up to an input of some .1."""
    last = keras.layers.Dense(2, activation="softmax", use_bias=False)
    network = keras.Sequential([keras.Input((1,)), last])
    last.set_weights([np.array([[-5e-7, 5e-7]], np.float32)])
    return network


def test_labels_are_of_the_logits_that_bounds_are_of(tmp_path):
    network = near_ties()
    export(network, Linf(), np.array([[0.9]], np.float32), str(tmp_path / "export"), (0, 1))
    served, x = load(str(tmp_path / "export")), np.linspace(0.01, 0.99, 99, dtype=np.float32)
    answer = served.serve(x[:, np.newaxis])
    np.testing.assert_allclose(answer["logits"][:, 1], 5e-7 * x, rtol=1e-6)
    assert (network(x[:, np.newaxis]).numpy().argmax(axis=1) == 0).any()  # ties
    for outputs in (answer, served.radius(x[:, np.newaxis], tf.constant(0.3))):
        assert (outputs["label"].numpy() == 1).all()
    for name in ("certify", "certify_interval", "certify_crown_ibp"):
        outputs = getattr(served, name)(tf.constant([[0.5]]), tf.constant(0.49))
        assert (outputs["label"].numpy(), outputs["certified"].numpy()) == ([1], [True])


def test_the_keras_model_s_own_answers_are_compared(tmp_path, monkeypatch):
    """Whatever is taken for the network's layers."""

    def cut(network: keras.Model, **options) -> Wiring:
        return dataclasses.replace(trace(network, **options), output=1)

    network = keras.Sequential([keras.Input((2,)), *(keras.layers.Dense(2) for _ in range(2))])
    monkeypatch.setattr(serving, "trace", cut)
    with pytest.raises(ParityError, match="Keras answers differ"):
        export(network, Linf(), np.full((1, 2), 0.9, np.float32), tmp_path / "export")


@contextlib.contextmanager
def policy(name: str) -> Iterator[None]:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("name", ["mixed_bfloat16", "mixed_float16", "float16", "float64"])
def test_certificates_of_another_precision_are_not_served(tmp_path, name):
    with policy(name):
        network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, name="only")])
    images = np.random.default_rng(0).random((3, 4), np.float32)
    message = f"network: expected one that computes in float32.*'only' in {name.split('_')[-1]}"
    with pytest.raises(UserError, match=message) as caught:
        export(network, Linf(), images, tmp_path / "export")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []
    export(copied(trace(network), "copy"), Linf(), images, tmp_path / "export")
    exact = images.astype(np.float64) @ np.float64(network.get_weights()[0])
    served = load(tmp_path / "export")
    np.testing.assert_allclose(served.serve(images)["logits"], exact, atol=1e-6)


def small(path: Path) -> Path:
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    export(network, Linf(), np.full((1, 4), 0.5, np.float32), path)
    return path


def test_an_export_takes_the_place_of_another_alone(tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "precious.txt").write_text("hi")
    with pytest.raises(UserError, match="export: expected a new folder.*holds precious.txt"):
        small(mine)
    assert [(path.name, path.read_text()) for path in mine.iterdir()] == [("precious.txt", "hi")]
    for _ in range(2):
        assert damage(small(tmp_path / "export")) is None
    saved = tmp_path / "saved"  # a SavedModel that is no export of ours
    tf.saved_model.save(tf.Module(), str(saved))
    with pytest.raises(UserError, match="export: expected a new folder.*saved_model.pb"):
        small(saved)


@pytest.mark.parametrize("kept", [0, 1, -1])
def test_lost_checksums_are_damage(tmp_path, kept):
    path = small(tmp_path / "export")
    sums = path / EXTRA / SUMS
    lines = sums.read_text().splitlines(keepends=True)
    sums.write_text("".join(lines[:kept]))
    assert damage(path) == f"{EXTRA}/{SUMS}"
    with pytest.raises(UserError, match=f"{SUMS} is damaged"):
        load(path)
    sums.unlink()
    assert damage(path) == f"{EXTRA}/{SUMS}"
