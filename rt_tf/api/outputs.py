"""Proofs that a network's outputs, as they are, stay within an interval: regression."""

import dataclasses
import time
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from rt_tf import numbers
from rt_tf.api.inputs import DEFAULT, UserNetwork, full_float32, network_of, radius_of, rows_of
from rt_tf.bounds.methods import crown_bounds, interval_bounds
from rt_tf.certification.properties.decision import Decider, decider
from rt_tf.certification.properties.searches import complete_searches
from rt_tf.certification.rung import TIME_LIMIT
from rt_tf.domain import Domain, Given
from rt_tf.errors import UserError
from rt_tf.interchange.property import Clause, Property
from rt_tf.models.inputs import spread
from rt_tf.network.wiring import Wiring
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

Ends: TypeAlias = tuple[Any, Any]
Exact: TypeAlias = tuple[tuple[Fraction, ...], tuple[Fraction, ...]]
SIDES = ("lower", "upper")
VERDICTS = {"unsat": "certified", "sat": "falsified"}


@dataclasses.dataclass(frozen=True, eq=False)
class OutputCertification:
    """The result of `certify_outputs` for n examples.

    outputs: the network's own, [n, outputs]. lower, upper: bounds of each output over the region,
    in sound arithmetic, [n, outputs]. verdicts: [n] texts, certified, falsified or unknown.
    counterexamples: by example's number, an input of the region with an output outside.
    """

    outputs: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    verdicts: np.ndarray
    counterexamples: Mapping[int, np.ndarray]

    @property
    def certified(self) -> np.ndarray:
        """Whether each example is proved: bool [n]."""
        return self.verdicts == "certified"

    def __repr__(self) -> str:
        proved = f"{int(self.certified.sum()):,} of {len(self.verdicts):,} examples certified"
        return f"<OutputCertification: {proved}>"


def certify_outputs(
    model: Any,
    inputs: Any,
    lower: Any,
    upper: Any,
    eps: Any,
    *,
    domain: Given = DEFAULT,
    time_limit: float = TIME_LIMIT,
) -> OutputCertification:
    """Proves, example by example, that a network's outputs stay strictly within an interval.

    Over all inputs that differ from an example's by at most eps in each number (Linf). model: a
    Keras model of outputs [batch, outputs] in float32. inputs: [n, ...]; for a model of several
    inputs, arrays by input's name or in order. lower, upper: ends of the interval, which broadcast
    against [n, outputs]: numbers, one for each output, or for each example; infinite where there is
    none. eps: the radius in the inputs' units, or an array, a radius for each number; by input's
    name, 0 where none is named. domain: as of `certify`. time_limit: seconds for an example.

    UserError, in one line, for what does not fit.

    >>> import keras, numpy as np, rt_tf
    >>> layer = keras.layers.Dense(1, kernel_initializer="ones")
    >>> model = keras.Sequential([keras.Input((2,)), layer])
    >>> inputs = np.float32([[0.5, 0.2], [0.9, 0.9]])
    >>> rt_tf.certify_outputs(model, inputs, 0.0, 1.5, eps=0.1).verdicts.tolist()
    ['certified', 'falsified']
    """
    network = network_of(model, domain, logits=False)
    rows = rows_of(network, inputs)
    several = network.several
    eps = spread(several, eps, "eps", 0.0) if several and isinstance(eps, Mapping) else eps
    threat, radius = radius_of(Linf(), eps, network.domain)
    assert isinstance(threat, Linf)
    with full_float32():
        return _certified(network, rows, (lower, upper), threat, radius, time_limit)


def _certified(
    network: UserNetwork, rows: np.ndarray, allowed: Ends, threat: Linf, eps: float, limit: float
) -> OutputCertification:
    wiring = network.members[0].certifiable()
    outputs = wiring.lower()(tf.constant(rows)).numpy()
    ends = [_end(name, end, outputs.shape) for name, end in zip(SIDES, allowed, strict=True)]
    lower, upper = _bounds(wiring, Region(threat, tf.constant(rows), eps, wiring.domain))
    radii = eps * np.broadcast_to(
        1.0 if threat.scale is None else np.array(threat.scale), rows[0].shape
    )
    judge = _Judge(network, limit)
    verdicts, counterexamples = [], {}
    for i, row in enumerate(rows):
        box = _box(row, radii, wiring.domain)
        verdict, point = judge.verdict(box, (ends[0][i], ends[1][i]))
        verdicts.append(verdict)
        if point is not None:
            counterexamples[i] = point.reshape(row.shape)
    return OutputCertification(outputs, lower, upper, np.array(verdicts), counterexamples)


def _bounds(wiring: Wiring, region: Region) -> Ends:
    """The best of interval's and CROWN's bounds of each output, in sound arithmetic."""
    graph, count = wiring.lower(), wiring.classes
    rows = tf.concat([tf.eye(count), -tf.eye(count)], axis=0)[tf.newaxis]
    spec = tf.repeat(rows, tf.shape(region.x)[0], axis=0)
    margins = [
        bound(graph, region, spec, arithmetic="sound").margins.numpy()
        for bound in (interval_bounds, crown_bounds)
    ]
    best = np.maximum(*margins)
    return best[:, :count], -best[:, count:]


def _box(row: np.ndarray, radii: np.ndarray, domain: Domain) -> Exact:
    """The region's ends around one example as exact numbers."""
    numbers = [Fraction(float(x)) for x in row.ravel()]
    moves = [Fraction(float(radius)) for radius in radii.ravel()]
    lower, upper = (np.broadcast_to(end, row.shape).ravel() for end in (domain.lower, domain.upper))
    return (
        tuple(
            max(x - r, _exact(low, x - r)) for x, r, low in zip(numbers, moves, lower, strict=True)
        ),
        tuple(
            min(x + r, _exact(up, x + r)) for x, r, up in zip(numbers, moves, upper, strict=True)
        ),
    )


def _exact(end: float, unlimited: Fraction) -> Fraction:
    """An end of the domain as an exact number, or another one where there is no end."""
    return Fraction(float(end)) if np.isfinite(end) else unlimited


class _Judge:
    """Decides whether outputs stay within an interval over boxes of inputs.

    limit: the seconds for each box.
    """

    def __init__(self, network: UserNetwork, limit: float) -> None:
        self.answering, self.limit, self.deadline = _Own(network.keras_model), limit, 0.0
        self.decider: Decider | None = None  # traced, and its searches compiled, for all boxes

    def verdict(self, box: Exact, allowed: Ends) -> tuple[str, np.ndarray | None]:
        """The verdict on a box, and a counterexample. allowed: ends for each output, [outputs]."""
        clauses = _clauses(allowed)
        if not clauses:
            return "certified", None
        broken = Property(*box, clauses)
        self.deadline = time.perf_counter() + self.limit
        if self.decider is None:
            self.decider = decider(self.answering, [broken], self._left, complete_searches())
        answer = self.decider.decide([broken])
        point = answer.counterexample and np.array([float(x) for x in answer.counterexample.point])
        return VERDICTS.get(answer.answer, "unknown"), point

    def _left(self) -> float:
        return self.deadline - time.perf_counter()


def _clauses(allowed: Ends) -> tuple[Clause, ...]:
    """The clauses of which outputs at an end, or beyond it, break one."""
    clauses = []
    for sign, end in zip((1.0, -1.0), allowed, strict=True):
        for k in np.flatnonzero(np.isfinite(end)):
            row = np.zeros((1, len(end)), np.float32)
            row[0, k] = sign
            clauses.append(Clause(row, (Fraction(sign * float(end[k])),)))
    return tuple(clauses)


class _Own:
    """A Keras model beside itself, by the contract of `decision.Answering`."""

    notes: tuple[str, ...] = ()

    def __init__(self, model: keras.Model) -> None:
        self.model = model
        self.shape = tuple(model.input_shape[1:])
        self.positions = np.arange(int(np.prod(self.shape)))

    def laid(self, flat: np.ndarray) -> np.ndarray:
        return flat.reshape(-1, *self.shape)

    def evaluate(self, flat: np.ndarray) -> np.ndarray:
        return np.asarray(self.model(self.laid(flat), training=False))[0]


def _end(name: str, end: Any, shape: tuple[int, ...]) -> np.ndarray:
    """An end of the allowed interval for each output of each example: float64 [n, outputs]."""
    try:
        return np.broadcast_to(np.asarray(end, np.float64), shape)
    except (TypeError, ValueError) as error:
        raise UserError(
            f"{name}: expected numbers that broadcast against the outputs {list(shape)}; received "
            f"{numbers.shown(end)}"
        ) from error
