"""Branch and bound over parts of the region, and causes of bounds that are not finite."""

import keras
import numpy as np
import pytest

from rt_tf.certification.ladder import Ladder, build_rung
from rt_tf.certification.rung import Query
from rt_tf.certification.rungs.branch_and_bound import BranchAndBound
from rt_tf.certification.rungs.splitting import RegionSplitting
from rt_tf.network.trace import trace
from rt_tf.threats.l2 import L2
from rt_tf.threats.linf import Linf

L = keras.layers
EPS = 0.15


def curved(seed: int = 5) -> keras.Model:
    """A network of two inputs with a curve and a product."""
    keras.utils.set_random_seed(seed)
    start = keras.Input((2,))
    hidden = L.Dense(6, "gelu", kernel_initializer="he_normal")(start)
    gates = L.Dense(6, "sigmoid", kernel_initializer="he_normal")(start)
    return keras.Model(start, L.Dense(3, kernel_initializer="he_normal")(hidden * gates))


def grid_margins(model: keras.Model, x: np.ndarray, label: int, radius: float) -> np.ndarray:
    """The margins of the label at points of the box around x within [0, 1]."""
    steps = np.linspace(-radius, radius, 61)
    moves = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    logits = model(np.clip(x + moves, 0.0, 1.0).astype(np.float32)).numpy()
    return logits[:, label] - np.delete(logits, label, axis=1).max(axis=1)


def test_it_decides_small_curved_networks_as_a_grid_does() -> None:
    model = curved()
    images = np.random.default_rng(0).random((12, 2)).astype(np.float32)
    labels = model(images).numpy().argmax(axis=1)
    rung = build_rung("branch_and_bound", trace(model), Linf(), {"time_limit": 20.0})
    assert isinstance(rung, RegionSplitting)
    findings = list(rung(Query(images, labels, EPS, [None] * len(images))))
    seen = {"certified": 0, "falsified": 0}
    for image, label, finding in zip(images, labels, findings, strict=True):
        margins = grid_margins(model, image, label, EPS)
        if finding.certified:
            assert margins.min() > 0.0
        if finding.falsified:
            assert np.abs(finding.point - image).max() < EPS
            assert model(finding.point[np.newaxis]).numpy().argmax() != label
        if abs(margins.min()) > 1e-3:
            assert finding.settled, (margins.min(), finding)
        seen["certified"] += finding.certified
        seen["falsified"] += finding.falsified
    assert min(seen.values()) > 0


def test_what_it_cannot_settle_is_unknown_with_a_cause() -> None:
    start = keras.Input((2,))
    flat = keras.Model(start, L.Dense(2, "softsign", kernel_initializer="zeros")(start))  # a tie
    query = Query(np.float32([[0.5, 0.5]]), np.array([0]), 0.1, [None])
    (finding,) = RegionSplitting(trace(flat), Linf(), time_limit=20.0)(query)
    assert not finding.certified
    assert finding.cause == "incomplete"
    (late,) = RegionSplitting(trace(curved()), Linf(), time_limit=0.0)(query)
    assert (late.certified, late.cause) == (False, "time")


def test_other_balls_are_searched_within_their_boxes() -> None:
    model = curved()
    image = np.float32([[0.4, 0.6]])
    label = model(image).numpy().argmax(axis=1)
    rung = RegionSplitting(trace(model), L2(), time_limit=20.0)
    (finding,) = rung(Query(image, label, 0.01, [None]))
    assert finding.certified


def test_networks_of_relus_are_split_by_units() -> None:
    model = keras.Sequential([L.Input((2,)), L.Dense(3, "relu"), L.Dense(2)])
    assert isinstance(build_rung("branch_and_bound", trace(model), Linf(), {}), BranchAndBound)


@pytest.mark.usefixtures("full_precision")
@pytest.mark.parametrize("rung", ["interval", "crown_ibp", "crown"])
@pytest.mark.parametrize(
    ("function", "name"), [(keras.ops.reciprocal, "reciprocal"), (keras.ops.log, "log")]
)
def test_infinite_bounds_are_not_certified_and_name_the_layer(rung, function, name) -> None:
    start = keras.Input((2,))
    bent = function(keras.ops.subtract(start, 0.3))
    model = keras.Model(start, L.Dense(2, kernel_initializer="ones")(bent))
    ladder = Ladder(trace(model), Linf(), [rung])
    images = np.float32([[0.35, 0.9], [0.8, 0.9]])
    labels = model(images).numpy().argmax(axis=1)
    findings = dict(ladder.climb(images, labels, 0.1))
    infinite = findings[0][rung]
    assert not infinite.certified
    assert infinite.cause == "infinite"
    assert infinite.layer.startswith(name)
    assert findings[1][rung].cause is None
