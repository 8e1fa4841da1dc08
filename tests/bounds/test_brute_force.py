"""Bounds against exact minima: mixed-integer programs, and fine grids of two-dimensional inputs."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import keras
import networks
import numpy as np
import pytest
import tensorflow as tf
from oracles import sampling
from oracles.matrices import Network, read
from oracles.methods import every, resolve
from oracles.relaxed import Relaxation

from rt_tf.bounds.result import margin_spec
from rt_tf.network.graph import Graph
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

L = networks.L
GRID = 400
PLANE = (2,)


def narrow(*layers: keras.layers.Layer) -> keras.Model:
    """A Sequential model of two inputs."""
    return keras.Sequential([L.Input(PLANE), *layers, L.Flatten(), L.Dense(3)])


def skipping(x):
    y = L.Dense(6)(L.ReLU()(L.Dense(5)(x)))
    return L.ReLU()(L.Add()([y, L.Dense(6)(x)]))


NARROW: dict[str, Callable[[], keras.Model]] = {
    "narrow": lambda: narrow(L.Dense(12, "relu")),
    "narrow_deep": lambda: narrow(*(L.Dense(5, "relu") for _ in range(5))),
    "narrow_residual": lambda: networks.functional(skipping, PLANE),
    "narrow_batch_norm": lambda: narrow(
        L.Dense(6), L.BatchNormalization(), L.ReLU(), L.Dense(6), L.BatchNormalization(), L.ReLU()
    ),
    "narrow_conv": lambda: narrow(
        L.Dense(9, "relu"), L.Reshape((3, 3, 1)), L.Conv2D(2, 2, activation="relu")
    ),
    "narrow_max_pool": lambda: narrow(
        L.Dense(16), L.Reshape((4, 4, 1)), L.MaxPooling2D(2), L.ReLU()
    ),
}
WIDE = {  # networks of the common table, and radii at which a program takes a fraction of a second
    "dense": 0.2,
    "conv_strided": 0.2,
    "batch_norm": 0.1,
    "max_pool": 0.05,
}
NAMES = [*NARROW, *WIDE]
RADII = (0.01, 0.15, 1.0)  # of the networks of two inputs


class Question(NamedTuple):
    """A network as the library has it and as matrices, and the margins of some regions."""

    graph: Graph
    network: Network
    region: Region
    spec: tf.Tensor

    @property
    def ends(self) -> list[np.ndarray]:
        """Lower and upper end of every example: [2, inputs]."""
        return sampling.linf_box(self.region.x.numpy(), self.region.eps.numpy())

    @property
    def rows(self) -> np.ndarray:
        """Rows of margins, equal for all examples: [spec, classes]."""
        return self.spec.numpy()[0].astype(np.float64)


@functools.cache
def question(name: str) -> Question:
    """One region of a common network; one of each radius of a network of two inputs."""
    if name in WIDE:
        wiring = networks.known(name)[1]
        x, eps = networks.images(wiring.input_shape, 1), [WIDE[name]]
    else:
        wiring = trace(networks.randomize(NARROW[name](), seed=2))
        x, eps = np.array([[0.3, 0.9]] * len(RADII), np.float32), RADII
    graph, spec = wiring.lower(), margin_spec(tf.ones([len(x)], tf.int32), wiring.classes)
    region = Region(Linf(), tf.constant(x), tf.constant(eps, tf.float32))
    return Question(graph, read(graph, wiring.input_shape), region, spec)


def relaxation(q: Question, example: int) -> Relaxation:
    """Over the oracle's own interval bounds."""
    return Relaxation(q.network, q.network.intervals(tuple(q.ends[example])))


@functools.cache
def exact_minima(name: str) -> tuple[np.ndarray, np.ndarray]:
    """By mixed-integer programs: their values, and f where they are attained; [batch, spec]."""
    q, pairs = question(name), []
    for example, ends in enumerate(q.ends):
        minima = [relaxation(q, example).exact(row) for row in q.rows]
        points = np.clip([minimum.x for minimum in minima], *ends)
        attained = (q.network(points) * q.rows).sum(axis=1)
        pairs.append(([minimum.value for minimum in minima], attained))
    return tuple(np.array(values) for values in zip(*pairs, strict=True))


@functools.cache
def grid_minima(name: str) -> np.ndarray:
    """Over fine grids, vertices included, in float64: [batch, spec]."""
    q = question(name)
    grids = [sampling.grid(*ends, GRID) for ends in q.ends]
    return np.array([(q.network(points) @ q.rows.T).min(axis=0) for points in grids])


def scale_of(minima: np.ndarray) -> np.ndarray:
    """The size of each example's margins, at least 1: [batch, 1]."""
    return np.maximum(1.0, np.abs(minima).max(axis=1, keepdims=True))


# The oracles among themselves.


@pytest.mark.parametrize("name", NAMES)
def test_programs_attain_their_value_and_no_point_has_less(name):
    q, (minima, attained) = question(name), exact_minima(name)
    slack = 1e-6 * scale_of(minima)
    assert (np.abs(minima - attained) <= slack).all()
    for example, ends in enumerate(q.ends):
        points = sampling.scattered(*ends, 500)
        for row, minimum in zip(q.rows, minima[example] - slack[example], strict=True):
            assert sampling.least(q.network, row, points) >= minimum
            assert sampling.descend(q.network, row, *ends) >= minimum


@pytest.mark.parametrize("name", NAMES)
def test_relaxed_programs_lie_below_exact_ones(name):
    q, (minima, _) = question(name), exact_minima(name)
    for example in range(len(q.ends)):
        program = relaxation(q, example)
        relaxed = [program.minimum(row).value for row in q.rows]
        assert (relaxed <= minima[example] + 1e-6 * scale_of(minima)[example]).all()


@pytest.mark.parametrize("name", NARROW)
def test_programs_find_what_grids_find(name):
    """To within what a margin can change on the way to the nearest point of the grid."""
    q, (minima, _), grid = question(name), exact_minima(name), grid_minima(name)
    steps = np.array([(high - low).max() / (GRID - 1) for low, high in q.ends])
    change = np.outer(steps / 2, [q.network.lipschitz(row) for row in q.rows])
    scale = scale_of(minima)
    assert (minima <= grid + 1e-6 * scale).all()
    assert (minima >= grid - change - 1e-6 * scale).all()
    assert (minima >= grid - 0.02 * scale).all()  # on these networks it is this close


# The library against them.


@functools.cache
def margins(name: str, method: str, arithmetic: str) -> np.ndarray:
    q = question(name)
    return resolve(method)(q.graph, q.region, q.spec, arithmetic=arithmetic).margins.numpy()


@pytest.mark.parametrize("name", networks.mostly_slow(NAMES, NAMES[::2]))
@every
def test_no_attained_margin_falls_below_a_sound_bound(name, method):
    bounds, truth = margins(name, method, "sound"), exact_minima(name)[1]
    assert np.isfinite(bounds).all()
    assert (truth >= bounds).all()
    if name in NARROW:
        assert (grid_minima(name) >= bounds).all()


@pytest.mark.parametrize("name", NARROW)
@every
def test_nor_below_a_fast_bound_but_by_rounding(name, method):
    bounds, truth = margins(name, method, "fast"), exact_minima(name)[1]
    assert (np.minimum(truth, grid_minima(name)) >= bounds - 1e-5 * scale_of(truth)).all()


@pytest.mark.parametrize("name", NARROW)
@every
def test_bounds_of_small_regions_are_nearly_exact(name, method):
    """Bounds that say nothing would pass all else."""
    bounds, truth = margins(name, method, "fast")[0], exact_minima(name)[1][0]
    assert (bounds >= truth - 0.3 * max(1.0, np.abs(truth).max())).all()
