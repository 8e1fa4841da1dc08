"""Certificates where inputs are not in [0, 1]: tables, pixels of other ranges, features by radius.

The oracle is the network itself: what a rung certifies holds on a fine grid of the true region.
"""

import itertools

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from rt_tf import catalogue
from rt_tf.bounds.methods import crown_bounds
from rt_tf.bounds.result import margin_spec
from rt_tf.certification.ladder import Ladder
from rt_tf.domain import UNLIMITED, Domain
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region, largest_radius

RUNGS = ["interval", "crown_ibp", "crown", "dual", "zonotope", "alpha_crown"]
SEARCHES = ["branch_and_bound", "attack"]
TABLE = Domain([-3.0, 0.0, -np.inf], [2.5, 1.0, np.inf])
SCALE = np.array([1.0, 0.0, 2.0])


pytestmark = pytest.mark.usefixtures("full_precision")


def affine(weights: list[list[float]], biases: list[float]) -> keras.Model:
    model = keras.Sequential([keras.Input((len(weights),)), layers.Dense(len(biases))])
    model.set_weights([np.array(weights, np.float32), np.array(biases, np.float32)])
    return model


def small_network() -> keras.Model:
    keras.utils.set_random_seed(5)
    return keras.Sequential(
        [keras.Input((3,)), layers.Dense(6, "relu"), layers.Dense(5, "relu"), layers.Dense(3)]
    )


def rungs_for(threat: str) -> list[str]:
    tables = catalogue.SEARCHES | catalogue.BOUNDS
    supported = {name: tables[name].threats for name in [*RUNGS, *SEARCHES, "lp", "milp"]}
    return [name for name, threats in supported.items() if not threats or threat in threats]


QUICK = ("interval", "crown", "attack")  # of the other threats; tracing takes a second each
CASES = [
    pytest.param(threat, rung, marks=[] if threat == "linf" or rung in QUICK else pytest.mark.slow)
    for threat in ("linf", "l2", "l1")
    for rung in rungs_for(threat)
]


@pytest.mark.parametrize(("threat", "rung"), CASES)
def test_nothing_is_certified_of_a_point_outside(threat: str, rung: str) -> None:
    """The network answers class 1 at x: a ball cut to [0, 1] held none of it."""
    x, label = np.array([[-0.3]], np.float32), np.array([0])
    model = affine([[1.0, 0.0]], [0.1, 0.0])
    kind = catalogue.resolve("threat", threat)()
    with pytest.raises(UserError, match=r"domain \[0, 1\]; received -0.3"):
        list(Ladder(trace(model), kind, [rung]).climb(x, label, 0.4))
    inside = trace(model, domain=Domain(-1.0, 1.0))
    (_, findings), *_ = Ladder(inside, kind, [rung]).climb(x, label, 0.4)
    assert not findings[rung].certified
    (_, findings), *_ = Ladder(inside, kind, [rung]).climb(-x, label, 0.35)
    assert findings[rung].certified or rung in ("attack", "lp", "milp")


def grid(x: np.ndarray, eps: float, scale: np.ndarray, domain: Domain) -> np.ndarray:
    """All corners, centres and thirds of a box, cut to the domain."""
    steps = [np.linspace(-eps * s, eps * s, 13 if s else 1) for s in scale]
    points = x + np.array(list(itertools.product(*steps)))
    return np.clip(points, domain.lower, domain.upper).astype(np.float32)


@pytest.mark.parametrize("rung", [*RUNGS, *SEARCHES, "lp"])
@pytest.mark.parametrize(
    "domain",
    [TABLE, *(pytest.param(d, marks=pytest.mark.slow) for d in (UNLIMITED, Domain(-3.0, 9.0)))],
)
def test_a_table_with_a_radius_for_each_feature(rung: str, domain: Domain) -> None:
    model, rng = small_network(), np.random.default_rng(0)
    x = np.stack([rng.uniform(-3, 2.5, 8), rng.uniform(0, 1, 8), rng.uniform(-3, 9, 8)], axis=1)
    x = x.astype(np.float32)
    labels = model(x).numpy().argmax(axis=1)
    ladder = Ladder(trace(model, domain=domain), Linf(SCALE), [rung])
    certified, wrong = 0, 0
    for eps in (0.02, 0.6):
        for row, findings in ladder.climb(x, labels, eps):
            reached = model(grid(x[row], eps, SCALE, domain)).numpy().argmax(axis=1)
            changed = bool((reached != labels[row]).any())
            assert not (findings[rung].certified and changed)
            assert not (findings[rung].falsified and eps == 0.0)
            certified += findings[rung].certified
            wrong += findings[rung].falsified
            if findings[rung].falsified:
                moves = np.abs(findings[rung].point - x[row])
                assert moves[1] == 0.0
                assert (moves <= eps * SCALE * (1 + 1e-6)).all()
    if rung in RUNGS or rung == "branch_and_bound":
        assert certified >= 4
    if rung in ("attack", "branch_and_bound"):
        assert wrong


def test_a_feature_radius_is_the_box_of_its_ends() -> None:
    """0 where a feature is fixed; what lies between the ends is the whole of it, and no more."""
    x = np.array([[1.0, 0.5, 4.0]], np.float32)
    lower, upper = Region(Linf(SCALE), tf.constant(x), 2.0, TABLE).outward().box()
    np.testing.assert_allclose(lower[0], [-1.0, 0.5, 0.0], atol=1e-5)
    np.testing.assert_allclose(upper[0], [2.5, 0.5, 8.0], atol=1e-5)
    assert (lower.numpy() <= [[-1.0, 0.5, 0.0]]).all()
    assert (upper.numpy() >= [[2.5, 0.5, 8.0]]).all()
    assert float(lower[0, 1]) == float(upper[0, 1]) == 0.5


def test_a_radius_of_its_own_for_every_example_and_feature() -> None:
    x = tf.constant([[0.5, 0.5], [0.5, 0.5]])
    eps = np.array([[0.1, 0.0], [0.2, 0.3]], np.float32)
    region = Region(Linf(), x, eps, Domain(0.0, 0.75))
    np.testing.assert_allclose(region.box()[1], [[0.6, 0.5], [0.7, 0.75]], atol=1e-6)
    assert region.inside(x + 0.99 * eps).numpy().tolist() == [True, False]
    few = region.take(tf.constant([1]))
    np.testing.assert_allclose(few.box()[0], [[0.3, 0.2]], atol=1e-6)


def test_no_box_is_inverted_in_compiled_functions() -> None:
    """There x is not known: the box holds it, so that the network's error there counts."""

    @tf.function(input_signature=[tf.TensorSpec([None, 1])])
    def box(x: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return Region(Linf(), x, 0.4, Domain(0.0, 1.0)).outward().box()

    x = np.array([[-0.3], [1.7], [-9.0], [0.5]], np.float32)
    lower, upper = (end.numpy() for end in box(tf.constant(x)))
    assert (lower <= x).all()
    assert (x <= upper).all()


@pytest.mark.parametrize("rung", networks.mostly_slow(["attack", "branch_and_bound", "lp"], ["lp"]))
@pytest.mark.parametrize("end", [0.25, 0.1])  # float32 has the one, and not the other
def test_a_constant_column_does_not_hide_the_others(rung: str, end: float) -> None:
    """Class 1 is answered from x1 = .5 on; x0 is fixed, at an end of its range or all of it."""
    model = affine([[0.0, 0.0], [0.0, 2.0]], [1.0, 0.0])
    for lower in (0.0, end):
        domain = Domain([lower, 0.0], [end, 1.0])
        x = np.array([[np.float32(domain.upper[0]), 0.45]], np.float32)
        ladder = Ladder(trace(model, domain=domain), Linf([0.0, 1.0]), [rung])
        (_, findings), *_ = ladder.climb(x, np.array([0]), 0.2)
        assert findings[rung].falsified
        assert findings[rung].point[0] == x[0, 0]


@pytest.mark.parametrize("threat", networks.mostly_slow(["l2", "l1", "linf"], ["l2"]))
@pytest.mark.parametrize("domain", [Domain(0.0, np.full((6, 6, 1), 2.0)), Domain(2.1, 3.3)])
def test_padded_convolutions_of_any_domain(threat: str, domain: Domain) -> None:
    """What padding adds beside an image is no input, eager or compiled."""
    keras.utils.set_random_seed(1)
    convolution = layers.Conv2D(2, 3, padding="same", activation="relu")
    head = [layers.Conv2D(2, 3, padding="same", activation="relu"), layers.Flatten()]
    model = keras.Sequential([keras.Input((6, 6, 1)), convolution, *head, layers.Dense(3)])
    x = tf.constant(np.full((2, 6, 6, 1), float(np.max(domain.upper)) - 0.5, np.float32))
    graph, spec = trace(model, domain=domain).lower(), margin_spec(tf.constant([0, 1]), 3)

    def margins(x: tf.Tensor) -> tf.Tensor:
        region = Region(catalogue.resolve("threat", threat)(), x, 0.3, domain)
        return crown_bounds(graph, region, spec, "sound").margins

    np.testing.assert_allclose(margins(x), tf.function(margins)(x), rtol=1e-4, atol=1e-4)
    assert np.isfinite(margins(x)).all()


def test_the_largest_radius_is_in_units_of_the_scale() -> None:
    assert largest_radius(Linf(), Domain(0.0, 255.0)) == 255.0
    assert largest_radius(Linf([0.01, 0.0]), Domain(0.0, [0.4, 9.0])) == pytest.approx(40.0)
    assert largest_radius(Linf([1.0, 1.0]), UNLIMITED) == np.inf


@pytest.mark.parametrize(
    "scale", [[1.0, -1.0, 0.0], [0.0, 0.0, 0.0], [np.nan, 1, 1], [1e-40, 1.0], [1e38, 1.0], 1.0]
)
def test_what_is_no_radius_by_feature_is_refused(scale: object) -> None:
    with pytest.raises(UserError, match="linf: expected for each feature 0 or a radius from"):
        Linf(scale)
