"""Certified radii: exact on linear networks, certified where they say so, never above an attack."""

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.bounds.result import margin_spec
from rt_tf.certification.radius import RadiusSearch
from rt_tf.certification.rung import Finding, Query
from rt_tf.certification.rungs.bound import BoundRung
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.threats.region import Region

TOLERANCE = 0.01
THREATS = {"linf": 0.3, "l2": 1.0, "l1": 3.0}
DUAL = {"linf": 1, "l2": 2, "l1": np.inf}
PROVING = [n for n in catalogue.certifying_bounds() if not catalogue.BOUNDS[n].probable]


pytestmark = pytest.mark.usefixtures("full_precision")


@pytest.fixture(scope="module")
def examples():
    model, wiring = networks.known("dense")
    x = networks.images(wiring.input_shape, 12)
    return wiring, x, model(x).numpy().argmax(axis=-1)


def threat_of(threat: str):
    return catalogue.threat(threat, {"radii": (0.1, 0.5, 1.0)})


def radii_of(search, x, labels, largest):
    """Radii in the examples' order."""
    by_row = dict(search.search(x, labels, np.full(len(x), largest)))
    assert sorted(by_row) == list(range(len(x)))
    return [by_row[row] for row in range(len(x))]


@pytest.mark.parametrize("threat", DUAL)
def test_of_a_linear_network_it_is_margin_over_dual_norm(threat):
    """Where no pixel can leave its range, least over the other classes."""
    rng = np.random.default_rng(3)
    model = keras.Sequential(
        [keras.Input((3, 3, 1)), keras.layers.Flatten(), keras.layers.Dense(4)]
    )
    kernel, bias = rng.normal(size=(9, 4)), rng.normal(size=4) * 0.01
    model.layers[-1].set_weights([kernel.astype("f4"), bias.astype("f4")])
    x = rng.uniform(0.48, 0.52, (8, 3, 3, 1)).astype(np.float32)
    logits = x.reshape(8, 9) @ kernel + bias
    labels = logits.argmax(axis=1)
    expected = [
        min(
            (logits[i, y] - logits[i, j])
            / np.linalg.norm(kernel[:, y] - kernel[:, j], DUAL[threat])
            for j in set(range(4)) - {y}
        )
        for i, y in enumerate(labels)
    ]
    assert max(expected) < 0.48
    search = RadiusSearch(trace(model), threat_of(threat), ["crown"], TOLERANCE)
    for radius, exact in zip(radii_of(search, x, labels, 0.9), expected, strict=True):
        assert exact * (1.0 - TOLERANCE) - 1e-5 <= radius.radius <= exact * (1.0 + 1e-5)


@pytest.mark.parametrize("threat", networks.mostly_slow([*THREATS, "union"], ["linf"]))
def test_the_sound_bound_certifies_what_it_returns(examples, threat):
    wiring, x, labels = examples
    largest = THREATS.get(threat, 3.0)
    radii = radii_of(
        RadiusSearch(wiring, threat_of(threat), ["crown_ibp", "crown"], 0.05), x, labels, largest
    )
    assert {radius.rung for radius in radii} >= {"crown"}
    for i, radius in enumerate(radii):
        assert 0.0 < radius.radius <= largest
        region = Region(threat_of(threat), tf.constant(x[i : i + 1]), radius.radius)
        spec = margin_spec(tf.constant(labels[i : i + 1]), networks.CLASSES)
        bound = catalogue.resolve("bound", radius.rung)
        margins = bound(wiring.lower(), region, spec, arithmetic="sound").margins
        # The search bounded it among others: kernels for other batches round otherwise.
        assert margins.numpy().min() > -1e-6
        assert radius.radius == max(trial.eps for trial in radius.trials if trial.certified)
        later = [t.eps for t in radius.trials if t.rung == "crown" and not t.certified]
        assert radius.radius == largest or min(later) <= radius.radius / (1.0 - 0.05)
        assert radius.seconds > 0.0


@pytest.mark.parametrize("threat", networks.mostly_slow(list(THREATS), ["linf"]))
def test_no_attack_succeeds_within_it(examples, threat):
    wiring, x, labels = examples
    search = RadiusSearch(wiring, threat_of(threat), ["crown"], TOLERANCE)
    radii = np.array([radius.radius for radius in radii_of(search, x, labels, THREATS[threat])])
    attack, nearest = catalogue.search("attack")(wiring, threat_of(threat)), np.full(len(x), np.inf)
    for eps in THREATS[threat] * np.array([0.25, 0.5, 1.0, 2.0]):
        findings = list(attack(Query(x, labels, eps, [None] * len(x))))
        points = tf.constant(np.stack([finding.point for finding in findings]))
        distances = Region(threat_of(threat), tf.constant(x), eps).distance(points).numpy()
        broken = [finding.falsified for finding in findings]
        nearest = np.where(broken, np.minimum(nearest, distances), nearest)
    assert np.isfinite(nearest).sum() >= 6
    assert (radii < nearest).all()


@pytest.mark.parametrize("name", networks.mostly_slow(PROVING, ["crown_ibp", "alpha_crown"]))
@pytest.mark.parametrize("threat", networks.mostly_slow(["linf", "l2"], ["linf"]))
def test_every_bound_takes_an_eps_for_each_example(examples, name, threat):
    wiring, x, labels = examples
    rung = BoundRung(name, wiring, threat_of(threat), {"steps": 2})
    eps = np.linspace(0.001, 0.2, 5)
    together = [finding.margin for finding in rung.at(x[:5], labels[:5], eps)]
    for i, margin in enumerate(together):
        query = Query(x[i : i + 1], labels[i : i + 1], eps[i], [None])
        assert next(rung(query)).margin == pytest.approx(margin, rel=1e-4, abs=1e-4)
    assert len(set(together)) == 5


def test_nothing_is_tried_above_each_examples_own_end(examples):
    wiring, x, labels = examples
    search = RadiusSearch(wiring, threat_of("linf"), ["crown_ibp"], TOLERANCE)
    most = np.linspace(0.0, 0.02, len(x))
    radii = dict(search.search(x, labels, most))
    assert radii[0].trials == ()
    assert radii[0].radius == 0.0
    for row, radius in radii.items():
        assert all(trial.eps <= most[row] for trial in radius.trials)
    assert any(radius.radius == most[row] for row, radius in radii.items() if row)


def test_a_class_that_the_network_does_not_give_has_no_radius(examples):
    wiring, x, labels = examples
    search = RadiusSearch(wiring, threat_of("linf"), ["crown_ibp"], TOLERANCE)
    radii = radii_of(search, x, (labels + 1) % networks.CLASSES, 0.3)
    assert {(radius.radius, radius.rung) for radius in radii} == {(0.0, None)}


def test_a_rung_out_of_memory_says_so_and_the_next_goes_on(examples, monkeypatch):
    wiring, x, labels = examples
    search = RadiusSearch(wiring, threat_of("linf"), ["interval", "crown_ibp"], TOLERANCE)

    def exhausted(images, labels, eps):
        return iter([Finding(-np.inf, 0.0, "memory") for _ in labels])

    monkeypatch.setattr(search.rungs["interval"], "at", exhausted)
    for radius in radii_of(search, x, labels, 0.3):
        assert radius.rung == "crown_ibp"
        stopped = [trial.cause for trial in radius.trials if trial.rung == "interval"]
        assert set(stopped) == {"memory"}


@pytest.mark.parametrize("rung", ["probable", "cauchy", "attack", "branch_and_bound", "milp"])
def test_rungs_that_prove_nothing_are_refused(examples, rung):
    with pytest.raises(UserError, match=f"rungs: expected bounds that prove.*received {rung}"):
        RadiusSearch(examples[0], threat_of("linf"), ["crown", rung], TOLERANCE)
