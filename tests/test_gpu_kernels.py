"""Every training step and every bound consists of operations that GPUs have kernels for.

Others run on the host, with copies there and back, or not at all where placement is strict.
"""

from typing import Any

import keras
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.bounds.result import margin_spec
from rt_tf.catalogue.attacks import ATTACKS
from rt_tf.network.trace import trace
from rt_tf.threats.region import Region
from rt_tf.training.model import RobustModel
from rt_tf.training.objectives.objective import Objective
from rt_tf.training.objectives.point import Attacked, Clean, EachPart, Free, Latent, Trades
from rt_tf.training.objectives.regularisers import L1, L2, ReluStability, WarmUp
from rt_tf.training.objectives.worst_case import WorstCase
from tests.gpu_kernels import lacking

L = keras.layers
IMAGES = tf.TensorSpec([2, 8, 8, 1], tf.float32)
LABELS = tf.TensorSpec([2], tf.int64)
LINF = catalogue.threat("linf")
PGD = catalogue.attack("pgd", {"steps": 2})
INTERVAL = catalogue.bound("interval")
PENALTIES = [L1(0.1), L2(0.1), ReluStability(0.1), WarmUp(0.1, 0.1)]


def network() -> keras.Model:
    """With windows worth gathering, all kinds of operation and a curved activation."""
    x = pixels = keras.Input(IMAGES.shape[1:])
    for _ in range(2):
        x = L.ReLU()(L.BatchNormalization()(L.Conv2D(2, 3, padding="same")(x)))
    x = L.Dense(6, activation="sigmoid")(L.Flatten()(L.MaxPooling2D()(x)))
    return keras.Model(pixels, L.Dense(3)(x))


def bound_lacks(name: str, threat: str, arithmetic: str) -> set[str]:
    """What a bound method uses that GPUs have no kernel for."""
    wiring = trace(network())

    @tf.function(autograph=False)
    def margins(x: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        region = Region(catalogue.threat(threat), x, 0.1)
        spec = margin_spec(labels, wiring.classes)
        return catalogue.bound(name)(wiring.lower(), region, spec, arithmetic=arithmetic).margins

    return lacking(margins.get_concrete_function(IMAGES, LABELS))


def step_lacks(objective: Objective, policy: str = "float32") -> set[str]:
    """What a training step uses that GPUs have no kernel for."""
    keras.config.set_dtype_policy(policy)
    try:
        model = RobustModel(network())
    finally:
        keras.config.set_dtype_policy("float32")
    optimizer: Any = keras.optimizers.Adam()
    if policy == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    model.compile(optimizer, objective, clip_norm=1.0)
    step = tf.function(lambda *batch: model.train_step(batch), autograph=False)
    return lacking(step.get_concrete_function(IMAGES, LABELS))


def test_what_has_no_kernel_is_found_by_its_types() -> None:
    @tf.function(autograph=False)
    def padded(x: tf.Tensor) -> tf.Tensor:
        places = tf.pad(tf.where(x > 0.0), [[0, 1], [0, 0]])
        return tf.cond(
            tf.size(x) > 3, lambda: tf.split(places, 2, axis=1)[0], lambda: places[:, :1]
        )

    assert lacking(padded.get_concrete_function(tf.TensorSpec([4, 4]))) == {
        "Pad[T=int64, Tpaddings=int32]",
        "Split[T=int64]",
    }


@pytest.mark.parametrize(("name", "threat"), [("crown", "linf"), ("interval", "l2")])
def test_windows_are_gathered_by_kernels_that_gpus_have(name: str, threat: str) -> None:
    assert bound_lacks(name, threat, "fast") == set()


def test_a_step_in_half_precision_has_kernels_on_gpus() -> None:
    objective = Objective(LINF, Attacked(PGD), WorstCase(INTERVAL, ratio=0.4), PENALTIES)
    assert step_lacks(objective, "mixed_float16") == set()


@pytest.mark.slow
@pytest.mark.parametrize("arithmetic", ["fast", "sound"])
@pytest.mark.parametrize("threat", ["linf", "l2", "l1", "union"])
@pytest.mark.parametrize("name", catalogue.BOUNDS)
def test_every_bound_has_kernels_on_gpus(name: str, threat: str, arithmetic: str) -> None:
    entry = catalogue.BOUNDS[name]
    if threat in (entry.threats or (threat,)) and (arithmetic == "fast" or name != "cauchy"):
        assert bound_lacks(name, threat, arithmetic) == set()


POINTS = {
    "natural": Objective(LINF),
    "mixup": Objective(LINF, Attacked(PGD), mixup=1.0),
    "trades": Objective(LINF, Trades(PGD, 1.0)),
    "previous": Objective(LINF, Attacked(PGD, None)),
    "free": Objective(LINF, Free()),
    "latent": Objective(LINF, Latent(1, 2)),
    "each": Objective(catalogue.threat("union"), EachPart(PGD)),
    "samples": Objective(LINF, Clean(), WorstCase(INTERVAL, samples=1), PENALTIES),
}


@pytest.mark.slow
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
@pytest.mark.parametrize("name", POINTS)
def test_every_point_term_has_kernels_on_gpus(name: str, policy: str) -> None:
    assert step_lacks(POINTS[name], policy) == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", catalogue.BOUNDS)
def test_training_by_every_bound_has_kernels_on_gpus(name: str) -> None:
    draws = "seed" in catalogue.BOUNDS[name].options
    bound = WorstCase(catalogue.bound(name), draws=draws)
    assert step_lacks(Objective(LINF, bound=bound)) == set()


@pytest.mark.slow
@pytest.mark.parametrize("threat", ["linf", "l2", "l1", "union", "wasserstein"])
@pytest.mark.parametrize("name", [name for name, entry in ATTACKS.items() if entry.training])
def test_every_attack_of_training_has_kernels_on_gpus(name: str, threat: str) -> None:
    if name in catalogue.attacks_on(threat):
        attack = catalogue.attack(name, {"steps": 2})
        assert step_lacks(Objective(catalogue.threat(threat), Attacked(attack))) == set()
