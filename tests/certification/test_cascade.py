"""Cascades: their rule by hand, and on networks small enough to look everywhere."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from planar import EPS, answered, grid, member, neighbours

from rt_tf import models
from rt_tf.bounds.cascade import answer
from rt_tf.certification.cascade import climb
from rt_tf.certification.ladder import Ladder
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.serving import saved_model
from rt_tf.threats.linf import Linf


@pytest.fixture(autouse=True, scope="module")
def full_products() -> None:
    tf.config.experimental.enable_tensor_float_32_execution(False)


def test_the_rule_by_hand() -> None:
    labels = [[1, 1, 1, 1, 1], [1, 1, 2, 1, 2], [1, 1, 1, 2, 1]]
    margins = [[0.5, -0.1, -0.1, -0.1, 0.2], [0.1, 0.3, 0.9, -0.2, 0.1], [9.0, 9.0, 9.0, 0.7, 9.0]]
    cascade = answer([tf.constant(row) for row in labels], [tf.constant(row) for row in margins])
    # the best margin of the members up to the first that disagrees
    np.testing.assert_array_equal(cascade.label, [1] * 5)
    np.testing.assert_allclose(cascade.margin, [9.0, 9.0, -0.1, -0.1, 0.2])


def conflicts(labels: np.ndarray) -> int:
    """Grid points with a neighbour within EPS of another answer, one count for each neighbour."""
    differ = [(others != labels) & (others >= 0) & (labels >= 0) for others in neighbours(labels)]
    return int(np.sum(differ))


@pytest.mark.parametrize("seed", range(6))
def test_no_ball_has_two_answers(seed: int) -> None:
    labels, alone = answered(seed), answered(seed, 1)
    assert conflicts(labels) == 0
    assert ((alone >= 0) <= (labels >= 0)).all()  # what the first certifies stays
    assert set(np.unique(labels)) > {-1}


def test_without_the_agreement_balls_have_two_answers() -> None:
    """So the test above can fail."""
    counts = [conflicts(answered(seed, agree=False)) for seed in range(6)]
    assert sum(counts) > 0


def test_further_members_certify_more() -> None:
    gained = [(answered(s) >= 0).sum() - (answered(s, 1) >= 0).sum() for s in range(6)]
    assert sum(gained) > 0


@pytest.mark.slow
def test_climbing_finds_what_is_served(tmp_path: Path) -> None:
    networks = [member(k) for k in (0, 1, 2)]
    united, images = models.cascade(networks), grid()[::20]
    saved_model.export(united, Linf(), images, tmp_path / "export")
    served = saved_model.load(tmp_path / "export")
    answers = served.certify(images, tf.constant(EPS))
    labels = answers["label"].numpy()
    np.testing.assert_array_equal(labels, served.serve(images)["label"])
    np.testing.assert_array_equal(labels, networks[0](images).numpy().argmax(1))
    ladders = [Ladder(trace(net), Linf(), ["interval", "crown_ibp"]) for net in networks]
    findings = dict(climb(ladders, images, labels, EPS)).values()
    climbed = [any(finding.certified for finding in by_rung.values()) for by_rung in findings]
    np.testing.assert_array_equal(climbed, answers["certified"])
    assert 0 < sum(climbed) < len(images)
    assert any("interval, member 2" in by_rung for by_rung in findings)


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
