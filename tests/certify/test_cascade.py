"""Cascades: their rule by hand, and on networks small enough to look everywhere."""

import functools
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import layers, models
from rt_tf.bounds.cascade import answer
from rt_tf.certify.cascade import climb
from rt_tf.certify.ladder import Ladder
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.reporting import export
from rt_tf.threats.linf import Linf

EPS = 0.03
SIDE = 101  # of the grid of points, three of them within EPS


@pytest.fixture(autouse=True, scope="module")
def full_products() -> None:
    tf.config.experimental.enable_tensor_float_32_execution(False)


def member(seed: int) -> keras.Model:
    """A classifier of points in the plane into three classes, with curved borders."""
    keras.utils.set_random_seed(seed)
    point = keras.Input((1, 2, 1))
    x = layers.Flatten()(point)
    for units in (16, 16):
        normal = keras.initializers.RandomNormal(stddev=0.6)
        offset = keras.initializers.RandomUniform(-0.5, 0.5)
        x = layers.Dense(units, kernel_initializer=normal, bias_initializer=offset)(x)
        x = layers.ReLU()(x)
    network = keras.Model(point, layers.Dense(3)(x))
    network.layers[-1].bias.assign(-tf.reduce_mean(network(grid()), axis=0))
    return network


def grid() -> np.ndarray:
    ends = np.linspace(0.0, 1.0, SIDE, dtype=np.float32)
    return np.stack(np.meshgrid(ends, ends, indexing="ij"), axis=-1).reshape(-1, 1, 2, 1)


def test_the_rule_by_hand() -> None:
    labels = [[1, 1, 1, 1, 1], [1, 1, 2, 1, 2], [1, 1, 1, 2, 1]]
    margins = [[0.5, -0.1, -0.1, -0.1, 0.2], [0.1, 0.3, 0.9, -0.2, 0.1], [9.0, 9.0, 9.0, 0.7, 9.0]]
    found = answer([tf.constant(row) for row in labels], [tf.constant(row) for row in margins])
    # the best that agreed so far; asked until one disagrees
    np.testing.assert_array_equal(found.label, [1] * 5)
    np.testing.assert_allclose(found.margin, [9.0, 9.0, -0.1, -0.1, 0.2])


@functools.cache
def answered(seed: int, count: int = 3, agree: bool = True) -> np.ndarray:
    """What a cascade of so many members answers on the grid, -1 where it abstains: [SIDE, SIDE].

    agree: as it should be; else the first member that certifies answers with its own label.
    """
    networks = [member(10 * seed + k) for k in range(count)]
    united = models.cascade(networks)
    if agree:
        found = export.certified_answer(united, Linf(), tf.constant(grid()), tf.constant(EPS))
        labels, certified = found.label.numpy(), found.margin.numpy() > 0
    else:
        labels, certified = np.full(SIDE**2, -1), np.zeros(SIDE**2, bool)
        for network in networks:
            own = export.certified_answer(network, Linf(), tf.constant(grid()), tf.constant(EPS))
            new = (own.margin.numpy() > 0) & ~certified
            labels = np.where(new, own.label.numpy(), labels)
            certified |= new
    return np.where(certified, labels, -1).reshape(SIDE, SIDE)


def conflicts(labels: np.ndarray) -> int:
    """Pairs of grid points within EPS of each other with two different answers."""
    reach, found = round(EPS * (SIDE - 1)), 0
    for down in range(reach + 1):
        for across in range(-reach, reach + 1):
            rows = labels[down:, max(across, 0) : SIDE + min(across, 0)]
            others = labels[: SIDE - down, max(-across, 0) : SIDE - max(across, 0)]
            found += int(((rows != others) & (rows >= 0) & (others >= 0)).sum())
    return found


@pytest.mark.parametrize("seed", range(6))
def test_no_ball_has_two_answers(seed: int) -> None:
    labels, alone = answered(seed), answered(seed, 1)
    assert conflicts(labels) == 0
    assert ((alone >= 0) <= (labels >= 0)).all()  # what the first certifies stays
    assert set(np.unique(labels)) > {-1}


def test_without_the_agreement_balls_have_two_answers() -> None:
    """So the test above can fail."""
    found = [conflicts(answered(seed, agree=False)) for seed in range(6)]
    assert sum(found) > 0


def test_further_members_certify_more() -> None:
    gained = [(answered(s) >= 0).sum() - (answered(s, 1) >= 0).sum() for s in range(6)]
    assert sum(gained) > 0


def test_climbing_finds_what_is_served(tmp_path: Path) -> None:
    networks = [member(k) for k in (0, 1, 2)]
    united, images = models.cascade(networks), grid()[::20]
    export.export(united, Linf(), images, tmp_path / "export")
    served = export.load(tmp_path / "export")
    told = served.certify(images, tf.constant(EPS))
    labels = told["label"].numpy()
    np.testing.assert_array_equal(labels, served.serve(images)["label"])
    np.testing.assert_array_equal(labels, networks[0](images).numpy().argmax(1))
    ladders = [Ladder(trace(net), Linf(), ["interval", "crown_ibp"]) for net in networks]
    findings = dict(climb(ladders, images, labels, EPS)).values()
    climbed = [any(found.certified for found in one.values()) for one in findings]
    np.testing.assert_array_equal(climbed, told["certified"])
    assert 0 < sum(climbed) < len(images)
    assert any("interval, member 2" in one for one in findings)


def test_a_member_is_not_asked_where_an_earlier_one_disagrees() -> None:
    networks = [member(0), member(1)]
    images = grid()[::20]
    first, second = (net(images).numpy().argmax(1) for net in networks)
    ladders = [Ladder(trace(net), Linf(), ["interval"]) for net in networks]
    findings = dict(climb(ladders, images, first, EPS)).values()
    for one, agree in zip(findings, first == second, strict=True):
        assert ("interval, member 2" in one) <= agree


def test_a_saved_cascade_comes_back(tmp_path: Path) -> None:
    networks = [member(0), member(1)]
    models.cascade(networks).save(tmp_path / "network.keras")
    loaded = keras.models.load_model(tmp_path / "network.keras")
    assert isinstance(loaded, models.Cascade)
    for mine, theirs in zip(models.members(loaded), networks, strict=True):
        np.testing.assert_array_equal(mine(grid()), theirs(grid()))
    with pytest.raises(UserError, match="at least one network"):
        models.cascade([])
