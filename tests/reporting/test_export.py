"""What an export must agree in with the network it was made of."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.bounds.methods import crown_ibp_bounds
from rt_tf.bounds.result import margin_spec
from rt_tf.network.trace import trace
from rt_tf.reporting.export import ParityError, _check_equal, export, load
from rt_tf.threats.region import Region
from rt_tf.threats.union import Union
from rt_tf.threats.wasserstein import Wasserstein

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
    export(network, threat, images, tmp_path / "export")
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
        found = served.radius(images, tf.constant(0.5))
        np.testing.assert_array_equal(found["radius"] == 0.5, answer["certified"])
