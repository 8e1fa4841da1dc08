"""The checker's rounding: its own against rational numbers, the served network's against TF's."""

from fractions import Fraction

import keras
import networks
import numpy as np
import pytest
from kept_proofs import CLASSES, Question, checked, margins_of, question
from oracles import rational

from rt_tf.checker import enclosure, operations, rounding
from rt_tf.checker import network as checked_network
from rt_tf.checker import region as checked_region
from rt_tf.network.trace import trace
from rt_tf.proofs.network_file import network_arrays

L = keras.layers
SIZE = 1e5  # of constants that are added and taken away again


def cancelling(rectified: bool = False, seed: int = 0) -> keras.Model:
    """Sums that cancel: what is left has lost as many digits as SIZE has."""
    between = [L.ReLU()] if rectified else []
    model = networks.chain(L.Flatten(), L.Dense(5), *between, L.Dense(4), shape=(2, 2, 1))
    networks.randomize(model, seed)
    dense = [layer for layer in model.layers if isinstance(layer, L.Dense)]
    dense[0].bias.assign_add(SIZE * np.ones(5, np.float32))
    kernel, bias = dense[1].get_weights()
    dense[1].set_weights([kernel, (bias - SIZE * kernel.sum(axis=0)).astype(np.float32)])
    return model


def question_of(model: keras.Model, threat: str, eps: float) -> Question:
    wiring, arrays = trace(model), network_arrays(model)
    network = checked_network.from_arrays(arrays)
    images = networks.images(wiring.input_shape)
    return Question(wiring.lower(), arrays, network, images, np.arange(3), threat, eps)


def margins(q: Question, logits: np.ndarray) -> np.ndarray:
    """[examples, classes] -> [examples, others]."""
    of_label = np.take_along_axis(logits, q.labels[:, np.newaxis], axis=1)
    others = [np.delete(row, label) for row, label in zip(logits, q.labels, strict=True)]
    return of_label - np.array(others)


def bounds_of(q: Question, rung: str) -> np.ndarray:
    return margins_of(checked(q, [q.certified(k, rung) for k in range(3)]))


@pytest.mark.parametrize("rung", ["interval", "crown"])
@pytest.mark.parametrize("rectified", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_float64_never_rounds_past_the_exact_minimum(seed, rectified, rung, monkeypatch):
    """With the price of the served network taken away, what is left is float64's own."""
    monkeypatch.setattr(rounding, "UNIT", 0.0)
    monkeypatch.setattr(rounding, "TINY", 2.0**-900)
    model = cancelling(rectified, seed)  # its activations are all stable
    q = question_of(model, "linf", eps=0.0)
    exact = margins(q, rational.evaluate(model, rational.exactly(q.images), rational.folded))
    bounds = bounds_of(q, rung)
    below = exact - rational.exactly(bounds)
    assert (below >= 0).all()
    assert (below.astype(float) < 1e-6).all()


def test_without_its_own_rounding_float64_would_round_past_it(monkeypatch):
    monkeypatch.setattr(rounding, "UNIT", 0.0)
    monkeypatch.setattr(rounding, "TINY", 2.0**-900)
    monkeypatch.setattr(rounding, "own", lambda terms: 0.0)
    past = []
    for seed in range(3):
        model = cancelling(seed=seed)
        q = question_of(model, "linf", eps=0.0)
        exact = margins(q, rational.evaluate(model, rational.exactly(q.images), rational.folded))
        past.append((exact < rational.exactly(bounds_of(q, "crown"))).any())
    assert any(past)


@pytest.mark.parametrize("rung", ["interval", "crown_ibp", "crown"])
@pytest.mark.parametrize("rectified", [False, True])
def test_float32_never_answers_below_the_bound(rectified, rung):
    """A region of one point: the bound is about rounding alone. Any order of summation."""
    model = cancelling(rectified)
    q = question_of(model, "linf", eps=0.0)
    bounds = bounds_of(q, rung)
    exact = margins(q, rational.evaluate(model, rational.exactly(q.images), rational.folded))
    served = [margins(q, model(q.images).numpy().astype(np.float64))]
    served += [margins(q, in_order(model, q.images, seed).astype(np.float64)) for seed in range(50)]
    assert (np.min(served, axis=0) >= bounds).all()
    off = np.abs(np.array(served) - exact.astype(float)).max()
    assert off > 1e-3, "no rounding to speak of"
    assert (exact.astype(float) - bounds < 100 * off).all()


def test_every_sum_pays_for_the_sizes_of_its_terms():
    """(Higham 2002, ch. 3.) Though terms of either sign cancel, and the bias most of them."""
    model = networks.chain(L.Flatten(), L.Dense(3), L.ReLU(), shape=(2, 2, 1))
    first = next(layer for layer in model.layers if isinstance(layer, L.Dense))
    kernel = np.float32([[5, 1, 0], [-5, 1, 0], [5, 1, 0], [-5, 1, 0]])
    first.set_weights([kernel, np.float32([0, -3, 7])])
    q = question_of(model, "linf", eps=0.0)
    ones = checked_region.region("linf", np.ones((2, 2, 1), np.float32), 0.0, (0.0, 1.0))
    prices = enclosure.enclose(q.network, ones, lambda *_: None).prices
    place = next(i for i, node in q.network.numbered() if isinstance(node.op, operations.Dense))
    least = rounding.UNIT * (4 + 1) * np.array([20.0, 7.0, 7.0])
    assert (prices[place] >= least).all()
    assert (prices[place] <= 1.01 * least).all()


def test_float64_s_own_sums_are_paid_for_in_both_directions(monkeypatch):
    """One product forward, 300 back: with the served network's price taken away."""
    monkeypatch.setattr(rounding, "UNIT", 0.0)
    monkeypatch.setattr(rounding, "TINY", 0.0)
    model = networks.chain(L.Dense(300), L.Flatten(), shape=(1, 1, 1))
    q = question_of(model, "linf", eps=0.0)
    ones = checked_region.region("linf", np.ones((1, 1, 1), np.float32), 0.0, (0.0, 1.0))
    enclosed = enclosure.enclose(q.network, ones, lambda *_: None)
    place = next(i for i, node in q.network.numbered() if isinstance(node.op, operations.Dense))
    assert (enclosed.prices[place] >= 300 * 2.0**-53 * enclosed.size(place)).all()


def in_order(model: keras.Model, images: np.ndarray, seed: int) -> np.ndarray:
    """The network in float32 with every sum in an order of its own, the bias anywhere in it."""
    rng, x = np.random.default_rng(seed), images.reshape(len(images), -1)
    for layer in model.layers:
        if isinstance(layer, L.ReLU):
            x = np.maximum(x, np.float32(0))
        if isinstance(layer, L.Dense):
            kernel, bias = layer.get_weights()
            terms = x[:, :, np.newaxis] * kernel
            terms = np.concatenate([terms, np.broadcast_to(bias, (len(x), 1, len(bias)))], axis=1)
            x = np.zeros((len(x), len(bias)), np.float32)
            for k in rng.permutation(terms.shape[1]):
                x = x + terms[:, k]
    return x


@pytest.mark.parametrize("threat", ["linf", "l2", "l1"])
def test_the_support_function_is_below_rational_points_and_close(threat):
    """Of one row: the best rational point of the ball, which is inside the pixel range."""
    rng = np.random.default_rng(3)
    for eps in (0.0, 0.1, 1.0 / 3.0):
        image, row = 0.4 + 0.2 * rng.random((1, 5, 1), np.float32), rng.standard_normal((1, 5))
        ball = checked_region.region(threat, image, eps, (0.0, 1.0))
        bound = Fraction(float(ball.minimum(row)[0]))
        point = best_point(threat, image.ravel(), row[0], Fraction(eps))
        value = sum(Fraction(float(c)) * z for c, z in zip(row[0], point, strict=True))
        assert bound <= value
        assert value - bound < 1e-11


def best_point(threat, x, row, eps):
    """A point of the ball, the best but for the rounding of a square root."""
    x, signs = [Fraction(float(v)) for v in x], np.sign(row)
    if threat == "linf":
        move = [-eps * int(s) for s in signs]
    elif threat == "l1":
        move = [
            -eps * int(s) * (abs(c) == np.abs(row).max()) for s, c in zip(signs, row, strict=True)
        ]
    else:
        norm = Fraction(float(np.sqrt((row**2).sum()) * (1 + 1e-12)))
        move = [-eps * Fraction(float(c)) / norm for c in row]
    return [a + b for a, b in zip(x, move, strict=True)]


def test_a_network_beyond_float32_has_no_certificate():
    model = cancelling()
    model.layers[-1].kernel.assign(1e38 * np.ones((4, CLASSES), np.float32))
    q = question_of(model, "linf", eps=0.0)
    verdicts = checked(q, [q.certified(k, "crown") for k in range(3)])
    assert not any(v.holds for v in verdicts)
    assert all("beyond what float32 can sum" in str(v.why) for v in verdicts)


@pytest.mark.parametrize("threat", ["linf", "l2", "l1"])
def test_a_larger_radius_never_has_a_larger_bound(threat):
    bounds = []
    for eps in (0.0, 0.01, 0.1):
        q = question("residual", threat, eps)
        bounds.append(margins_of(checked(q, [q.certified(k, "dual") for k in range(3)])))
    assert (bounds[0] > bounds[1]).all()
    assert (bounds[1] > bounds[2]).all()


@pytest.mark.parametrize("layer", [0, -1])
def test_one_unit_beyond_float32_is_enough(layer):
    """All other units, of this layer and of the others, are as small as ever."""
    model = cancelling()
    dense = [layer for layer in model.layers if isinstance(layer, L.Dense)][layer]
    kernel = dense.kernel.numpy()
    kernel[:, 0] = 1e37
    dense.kernel.assign(kernel)
    q = question_of(model, "linf", eps=0.0)
    verdicts = checked(q, [q.certified(k, "crown") for k in range(3)])
    assert all("beyond what float32 can sum" in str(v.why) for v in verdicts)


def test_what_float32_can_sum_is_certified():
    """The guard is for sums beyond 2^120, and for no smaller ones."""
    model = cancelling()
    dense = [layer for layer in model.layers if isinstance(layer, L.Dense)][-1]
    kernel, bias = (np.zeros_like(values) for values in dense.get_weights())
    bias[0] = 2.0**119
    dense.set_weights([kernel, bias])
    q = question_of(model, "linf", eps=0.0)._replace(labels=np.zeros(3, np.int64))
    verdicts = checked(q, [q.certified(k, "crown") for k in range(3)])
    assert all(v.holds for v in verdicts)
