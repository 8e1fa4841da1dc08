"""The study of tightness on a tiny network: its programs are the oracle's, its order is checked."""

import argparse
import json

import keras
import networks
import numpy as np
import pytest
from oracles.matrices import read
from oracles.relaxed import Relaxation

from benchmarks import tightness
from benchmarks.margins import BOXES, Question, disorder, measured
from benchmarks.three_networks import Networks, chosen
from rt_tf import catalogue, data
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.reporting.figures.style import encode

EPS = 0.1
IMAGES = networks.images(networks.SHAPE, 3)
ASKED = Question(IMAGES, np.array([0, 1, 2]), np.array([1, 2, 0]), EPS)


@pytest.fixture(scope="module")
def network():
    return networks.build("dense")


@pytest.fixture(scope="module")
def margins(network):
    return list(measured(network, ASKED, seconds=60.0))


def oracle(network, method, i):
    """The oracle's own matrices over the boxes of a bound, and the row that is asked."""
    graph = trace(network).lower()
    row = ASKED.rows(networks.CLASSES)
    spec = row[:, np.newaxis].astype(np.float32)
    bounds = catalogue.bound(method)(graph, ASKED.region, spec, arithmetic="sound")
    ends = {
        node: tuple(end.numpy()[i].astype(np.float64).ravel() for end in box)
        for node, box in bounds.boxes.items()
    }
    return Relaxation(read(graph, networks.SHAPE), ends), row[i]


def test_everything_is_in_order_and_nothing_is_trivial(margins):
    for one in margins:
        assert disorder(one) == []
        assert one.solved
        assert one.unstable > 0
        assert one.bounds["interval"] < one.programs["crown"] < one.above <= one.clean


@pytest.mark.parametrize("method", dict.fromkeys(BOXES.values()))
def test_programs_are_the_oracles(network, margins, method):
    relaxation, row = oracle(network, method, 0)
    assert margins[0].programs[method] == pytest.approx(relaxation.minimum(row).value, abs=1e-5)


def test_the_search_ends_with_the_oracles_exact_minimum(network, margins):
    for i, one in enumerate(margins):
        relaxation, row = oracle(network, "crown", i)
        exact = relaxation.exact(row).value
        assert one.below == pytest.approx(exact, abs=1e-5)
        assert exact - 1e-5 <= one.attack <= exact + 0.05 * (one.clean - exact)


def test_disorder_names_what_is_out_of_order(margins):
    one = margins[0]
    high = one._replace(bounds=one.bounds | {"dual": one.programs["dual"] + 0.01})
    assert [text.split(" > ")[0].split()[0] for text in disorder(high)] == ["dual"]
    low = one._replace(attack=one.programs["dual"] - 0.01, above=one.programs["dual"] - 0.01)
    assert any(text.startswith("below") for text in disorder(low))
    with pytest.raises(RuntimeError, match=r"toy network, image 0: dual .* > program over dual"):
        tightness.refuse_disorder("toy", [high])


def test_means_and_figure_by_hand(margins):
    """Two images whose gaps are 1 and 3; one is solved."""
    bounds, programs = dict.fromkeys(BOXES, 1.0), dict.fromkeys(BOXES.values(), 2.0)
    first = margins[0]._replace(
        clean=9.0, bounds=bounds, programs=programs, below=3.0, above=3.0, solved=True, attack=3.0
    )
    wide = dict.fromkeys(BOXES.values(), 4.0)
    second = first._replace(programs=wide, above=5.0, solved=False, attack=5.0)
    row = tightness.figures([first, second])[0]
    assert row == {
        **{"bound": "interval", "mean": 1.0, "to_own": 2.0, "to_lp": 2.0},
        **{"to_exact": 2.0, "to_attack": 3.0, "of_the_drop": 1.6},
    }
    assert encode(tightness.draw({"toy": [first, second]}), "png", 40).startswith(b"\x89PNG")


def test_a_study_from_networks_to_its_file(network):
    test = data.Split(
        "test", np.zeros((2, *networks.SHAPE), np.uint8), np.array([0, 2]), *[np.arange(2), 255]
    )
    by_network = tightness.study(Networks({"toy": network}, test, 3, EPS), 1, None, 5.0)
    figures = json.loads(
        json.dumps(
            tightness.figures_of(by_network, argparse.Namespace(samples=1, time_limit=5.0), EPS)
        )
    )
    assert figures["networks"]["toy"]["margins"][0]["programs"].keys() == set(BOXES.values())
    assert len(tightness.tables(by_network)) == 1


def test_a_users_mistakes_are_told(network):
    with pytest.raises(UserError, match="natural: expected --model_dir=.* received runs/a"):
        chosen(None, "runs/a", None)
    test = data.Split("test", np.zeros((2, 4, 4, 2), np.uint8), *[np.arange(2)] * 2, 255)
    networks_of_two = Networks({"toy": network}, test, 3, EPS)
    with pytest.raises(UserError, match="samples: expected 1 to 2; received 3"):
        networks_of_two.question(3, None)
    with pytest.raises(UserError, match=r"epsilon: expected a radius in \[0, 1\]; received 2"):
        networks_of_two.question(1, 2.0)


def test_other_activations_are_refused():
    model = keras.Sequential(
        [keras.Input((2,)), keras.layers.Dense(4, "tanh"), keras.layers.Dense(3)]
    )
    question = Question(np.zeros((1, 2), np.float32), np.array([0]), np.array([1]), EPS)
    with pytest.raises(UserError, match="tightness: expected piecewise-linear activations"):
        list(measured(model, question, seconds=1.0))
