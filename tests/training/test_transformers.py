"""A small vision transformer, and a network of group normalisation, through the whole pipeline."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import rt_tf
from rt_tf import data, models
from rt_tf.bounds.methods import interval_bounds
from rt_tf.bounds.result import certified, margin_spec
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region
from rt_tf.training.callbacks import Ramp, Schedule
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.worst_case import WorstCase

L = keras.layers
EPS = 0.002


def trained(network: keras.Model, epochs: int) -> RobustModel:
    """The network after some epochs on digits with interval bounds, up to EPS."""
    digits = data.load("digits")
    robust = RobustModel(network)
    robust.compile(
        keras.optimizers.Adam(2e-3, clipnorm=1.0),
        objective=Objective(Linf(), bound=WorstCase(interval_bounds)),
        kappa=0.5,
    )
    ramp = Schedule(eps=Ramp(0.0, EPS, epochs=epochs))
    images, labels = digits.train.images(), digits.train.labels
    robust.fit(images, labels, batch_size=50, epochs=epochs, verbose=0, callbacks=[ramp])
    return robust


def verified(robust: RobustModel, count: int = 200) -> float:
    """The share of test images that intervals prove at EPS."""
    test = data.load("digits").test
    images, labels = tf.constant(test.images()[:count]), tf.constant(test.labels[:count])
    spec = margin_spec(labels, 10)
    region = Region(Linf(), images, EPS)
    margins = interval_bounds(robust.wiring.lower(), region, spec, arithmetic="sound").margins
    return float(tf.reduce_mean(tf.cast(certified(margins), tf.float32)))


@pytest.mark.slow
def test_group_normalisation_trains_by_intervals() -> None:
    keras.utils.set_random_seed(1)
    layers = [L.Conv2D(8, 3, strides=2), L.GroupNormalization(2), L.ReLU(), L.Flatten()]
    network = keras.Sequential([L.Input((8, 8, 1)), *layers, L.Dense(10)])
    before = verified(RobustModel(keras.models.clone_model(network)))
    assert before < 0.2
    assert verified(trained(network, 12)) > 0.5


@pytest.mark.slow
def test_a_vision_transformer_trains_certifies_exports_and_serves(tmp_path) -> None:
    keras.utils.set_random_seed(0)
    robust = trained(models.build("vit", (8, 8, 1), 10, init="shi"), 8)
    test = data.load("digits").test
    images, labels = test.images()[:40], test.labels[:40]
    result = rt_tf.certify(robust, images, labels, eps=EPS, rungs=["crown"], progress=False)
    assert result.certified.sum() >= 2
    attacked = rt_tf.attack(
        robust, images[result.certified], labels[result.certified], eps=EPS, progress=False
    )
    assert not attacked.success.any()
    rt_tf.export(robust, tmp_path / "export")
    served = tf.saved_model.load(tmp_path / "export")
    logits = np.asarray(served.serve(images[:8])["logits"])
    np.testing.assert_allclose(logits, robust.network(images[:8]), atol=1e-4)
    answer = served.certify(tf.constant(images[:8]), tf.fill([8], EPS / 20.0))
    assert np.asarray(answer["certified"]).any()
