"""Served certificates against closed forms and each other, and where there must be none."""

import functools
from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import models
from rt_tf.bounds.methods import crown_ibp_bounds, interval_bounds
from rt_tf.bounds.result import margin_spec
from rt_tf.network.trace import trace
from rt_tf.serving import endpoints, saved_model
from rt_tf.serving.bisection import STEPS
from rt_tf.threats.l1 import L1
from rt_tf.threats.l2 import L2
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region, Threat
from rt_tf.threats.union import Union

CAP = 0.25
STEP = CAP / 2**STEPS
ROUNDING = 1e-4  # of sound arithmetic, in units of radius
SHAPE = (4, 4, 1)
METHODS = {"interval": interval_bounds, "crown_ibp": crown_ibp_bounds}
BALLS, DUAL = [Linf(), L2(), L1()], {"linf": 1, "l2": 2, "l1": np.inf}


@pytest.fixture(autouse=True, scope="module")
def full_products() -> None:
    tf.config.experimental.enable_tensor_float_32_execution(False)


def linear(seed: int) -> keras.Model:
    """Three classes, affine in pixels."""
    normal = keras.initializers.RandomNormal(stddev=0.2, seed=seed)
    image = keras.Input(SHAPE)
    logits = keras.layers.Dense(3, kernel_initializer=normal, bias_initializer=normal)
    return keras.Model(image, logits(keras.layers.Flatten()(image)))


def curved() -> keras.Model:
    """Two hidden layers, on which neither method is always the better."""
    keras.utils.set_random_seed(3)
    image = keras.Input(SHAPE)
    x = keras.layers.Conv2D(3, 3, activation="relu")(image)
    x = keras.layers.Dense(20, activation="relu")(keras.layers.Flatten()(x))
    return keras.Model(image, keras.layers.Dense(3)(x))


def grey(count: int = 60) -> np.ndarray:
    """Images with room for every move by CAP, in either direction."""
    return np.random.default_rng(0).uniform(0.3, 0.7, (count, *SHAPE)).astype(np.float32)


def exact_radii(network: keras.Model, threat: Threat, images: np.ndarray) -> np.ndarray:
    """The distance to the nearest other class of an affine network, in float64: [batch]."""
    if isinstance(threat, Union):
        return np.min([exact_radii(network, ball, images) / r for ball, r in threat.parts], axis=0)
    kernel, bias = (np.float64(w) for w in network.get_weights())
    logits = np.float64(images).reshape(len(images), -1) @ kernel + bias
    labels = logits.argmax(1)
    sizes = np.linalg.norm(kernel.T[labels][:, np.newaxis] - kernel.T, DUAL[threat.name], axis=2)
    gaps = logits.max(1, keepdims=True) - logits
    return np.where(np.eye(3)[labels] == 1, np.inf, gaps / np.maximum(sizes, 1e-9)).min(1)


@functools.cache
def table() -> dict[str, endpoints.Endpoint]:
    """The endpoints of the curved network under Linf."""
    return endpoints.endpoints(curved(), Linf())


def ask(endpoint: str, images: np.ndarray, epsilon: float) -> dict[str, np.ndarray]:
    outputs = table()[endpoint].compute(tf.constant(images), tf.constant(epsilon))
    return {name: value.numpy() for name, value in outputs.items()}


@pytest.mark.parametrize("threat", [*BALLS, Union((1.0, 2.5, 9.0))], ids=lambda t: t.name)
def test_radii_of_an_affine_network_are_those_of_the_closed_form(threat: Threat) -> None:
    network, images = linear(0), grey()
    compute = endpoints.endpoints(network, threat)["radius"].compute
    outputs = compute(tf.constant(images), tf.constant(CAP))
    exact = exact_radii(network, threat, images)
    assert (outputs["radius"] <= exact).numpy().all()
    np.testing.assert_allclose(outputs["radius"], np.minimum(exact, CAP), atol=STEP + ROUNDING)
    assert (exact < CAP).sum() > 5
    np.testing.assert_array_equal(outputs["label"], network(images).numpy().argmax(1))


def test_a_cascade_has_the_radius_of_its_best_member_that_agrees() -> None:
    members, images = [linear(0), linear(5)], grey()
    compute = endpoints.endpoints(models.cascade(members), Linf())["radius"].compute
    outputs = compute(tf.constant(images), tf.constant(CAP))
    first, second = (np.minimum(exact_radii(net, Linf(), images), CAP) for net in members)
    labels = [net(images).numpy().argmax(1) for net in members]
    agree = labels[0] == labels[1]
    expected = np.where(agree, np.maximum(first, second), first)
    assert (agree & (second > first)).any()
    assert (~agree & (second > first)).any()
    np.testing.assert_array_equal(outputs["label"], labels[0])
    np.testing.assert_allclose(outputs["radius"], expected, atol=STEP + ROUNDING)


@pytest.mark.parametrize(("name", "epsilon"), [("interval", 0.02), ("crown_ibp", 0.1)])
def test_a_method_s_endpoint_gives_its_margins(name: str, epsilon: float) -> None:
    images = grey()
    outputs = ask(f"certify_{name}", images, epsilon)
    region, spec = Region(Linf(), tf.constant(images), epsilon), margin_spec(outputs["label"], 3)
    bounds = METHODS[name](trace(curved()).lower(), region, spec, arithmetic="sound")
    np.testing.assert_allclose(outputs["margin"], np.min(bounds.margins, axis=1), atol=1e-5)
    np.testing.assert_array_equal(outputs["certified"], outputs["margin"] > 0)
    assert 0 < outputs["certified"].sum() < len(images)


def test_certify_is_the_better_of_the_methods() -> None:
    each = [ask(f"certify_{name}", grey(), 0.02)["margin"] for name in METHODS]
    np.testing.assert_array_equal(ask("certify", grey(), 0.02)["margin"], np.maximum(*each))
    assert (each[0] != each[1]).any()


def test_a_radius_is_certified_and_a_step_more_is_not() -> None:
    images = grey(20)
    outputs = ask("radius", images, CAP)
    assert len(set(outputs["radius"])) > 5
    for image, radius, method in zip(images, outputs["radius"], outputs["method"], strict=True):
        names = list(METHODS)[: list(METHODS).index(method.decode()) + 1]
        certified = [ask(f"certify_{name}", image[None], radius)["certified"] for name in names]
        assert [bool(one) for one in certified] == [False] * (len(names) - 1) + [True]
        assert radius == CAP or not ask("certify", image[None], radius + STEP)["certified"]


def test_both_methods_decide_some_radii() -> None:
    assert {b"interval", b"crown_ibp"} <= set(ask("radius", grey(), 0.02)["method"])


def test_a_mixed_batch_is_answered_image_by_image() -> None:
    images = np.concatenate([grey(4), np.zeros((1, *SHAPE), np.float32), grey(4), grey(4)])
    images[1, 0, 0, 0], images[6, 1, 1, 0], images[7] = np.nan, 1.0001, -0.1
    images[9:] = np.eye(16, dtype=np.float32)[:4].reshape(4, *SHAPE)
    outputs = ask("radius", images, CAP)
    wrong = [1, 6, 7]
    assert (outputs["radius"][wrong] == 0).all()
    assert (outputs["method"][wrong] == b"none").all()
    assert (np.delete(outputs["radius"], wrong) > 0).sum() > 5
    alone = [ask("radius", image[None], CAP) for image in images]
    np.testing.assert_allclose(outputs["radius"], [one["radius"][0] for one in alone], atol=STEP)


@pytest.mark.parametrize(("epsilon", "method"), [(0.0, True), (-0.1, False), (np.nan, False)])
def test_radii_that_leave_nothing_to_find(epsilon: float, method: bool) -> None:
    outputs = ask("radius", grey(), epsilon)
    assert (outputs["radius"] == 0.0).all()
    assert ((outputs["method"] != b"none") == method).all()


def test_a_radius_is_not_beyond_the_threat_s_largest() -> None:
    constant = linear(0)
    constant.set_weights([np.zeros((16, 3)), np.float32([0.0, 9.0, 0.0])])
    compute = endpoints.endpoints(constant, Linf())["radius"].compute
    for epsilon, expected in ((np.inf, 1.0), (7.0, 1.0), (0.3, np.float32(0.3))):
        outputs = compute(tf.constant(grey()), tf.constant(epsilon, tf.float32))
        assert (outputs["radius"] == expected).numpy().all()


@pytest.mark.parametrize("name", ["serve", "certify", "certify_interval", "radius"])
def test_every_endpoint_is_compared(name: str) -> None:
    endpoint = table()[name]

    def check(factor: float) -> None:
        def compute(*arguments: tf.Tensor) -> dict[str, tf.Tensor]:
            return {endpoint.compared: factor * endpoint.compute(*arguments)[endpoint.compared]}

        served = SimpleNamespace(**{name: compute})
        saved_model._check_parity({name: endpoint}, served, grey(), few=20)

    check(1.0)
    with pytest.raises(saved_model.ParityError, match=f"{name} {endpoint.compared} differ by"):
        check(1.02)
