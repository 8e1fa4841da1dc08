"""Optimised slopes: gradient ascent on the lines of a backward pass.

Any slopes in [0, 1] are sound, so that every iterate is a bound, and the best one of each row is
kept. Sources: Xu et al. 2021 (alpha-CROWN); Wong 2020 (thesis), eq. 3.7; Balunovic & Vechev 2020
(COLT), section 5, for shared slopes; Wang et al. 2021 (beta-CROWN) for splits.
"""

import math
from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeAlias

import tensorflow as tf

from rt_tf.bounds.backward import lower_bound
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.relaxation import UnitSplit
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Activation, Product, Shared, Tensor
from rt_tf.threats.region import Region

# Adam's rates for slopes that start from CROWN's, which alpha-CROWN's authors use, and for
# multipliers; the decay of both with each step.
RATE = 0.5
MULTIPLIER_RATE = 0.1
DECAY = 0.98
MOMENTS = (0.9, 0.999)

Variables: TypeAlias = list[Tensor]
Bound: TypeAlias = Callable[[Variables], Tensor]


class Optimum(NamedTuple):
    """The best margins, [batch, spec], and the variables that give them.

    slopes, multipliers: by number of activation and of split node, [batch, spec, ...].
    """

    margins: Tensor
    slopes: dict[int, Tensor]
    multipliers: dict[int, Tensor]


class _State(NamedTuple):
    """Adam's state, and the best variables so far by row."""

    variables: Variables
    first: Variables
    second: Variables
    best: Tensor
    best_variables: Variables


def optimised_bound(
    graph: Graph,
    region: Region,
    spec: Tensor,
    enclosure: Enclosure,
    *,
    steps: int,
    shared: bool = False,
    splits: Mapping[int, Tensor] | None = None,
    arithmetic: str = "fast",
) -> Optimum:
    """Lower bounds of `spec . f(x)` over the region, with slopes optimised for each row.

    spec: [batch, spec, classes]. enclosure: the intermediate bounds, which stay; cut by the
    splits, if any. steps: of ascent. shared: lower and upper line have one slope. splits: known
    signs by pre-activation node, [batch, ...], whose multipliers are optimised too. The ascent
    is in float32; sound arithmetic bounds its result anew, with slopes rounded to float16, as
    proofs keep them.
    """
    bent, signs = graph.bent(), dict(splits or {})

    def bound(variables: Variables, arithmetic: str = "fast") -> Tensor:
        slopes, multipliers = _named(variables, bent, signs)
        return lower_bound(
            graph,
            region,
            spec,
            enclosure,
            slope={i: Shared(t) if shared else t for i, t in slopes.items()},
            splits={i: UnitSplit(signs[i], multiplier) for i, multiplier in multipliers.items()},
            arithmetic=arithmetic,
        )

    start = [_first_slopes(graph, enclosure, i, spec, shared) for i in bent]
    start += [tf.zeros_like(_rows(sign, spec)) for sign in signs.values()]
    best = ascend(bound, start, steps, slopes=len(bent))
    if arithmetic == "sound":
        best = [*map(as_kept, best[: len(bent)]), *best[len(bent) :]]
    margins = bound(best, arithmetic)
    return Optimum(margins, *_named(best, bent, signs))


def _named(
    variables: Variables, bent: list[int], signs: Mapping[int, Tensor]
) -> tuple[dict[int, Tensor], dict[int, Tensor]]:
    slopes, multipliers = variables[: len(bent)], variables[len(bent) :]
    return (
        dict(zip(bent, slopes, strict=True)),
        dict(zip(signs, multipliers, strict=True)),
    )


def as_kept(slopes: Tensor) -> Tensor:
    """Slopes of any shape, rounded to float16, in which proofs keep them, and back to float32."""
    return tf.cast(tf.cast(slopes, tf.float16), tf.float32)


def _first_slopes(graph: Graph, enclosure: Enclosure, i: int, spec: Tensor, shared: bool) -> Tensor:
    """CROWN's slopes; where one slope serves both lines of a ReLU, Wong & Kolter's."""
    node = graph.nodes[i - 1]
    lower, upper = enclosure.boxes[node.inputs[0]]
    if isinstance(node.op, Product):
        return _rows(tf.fill(tf.shape(lower), 0.5), spec)
    assert isinstance(node.op, Activation)
    if not (shared and node.op.rectifies):
        return _rows(tf.cast(upper > -lower, lower.dtype), spec)
    above, below = tf.nn.relu(upper), tf.nn.relu(-lower)
    return _rows(tf.math.divide_no_nan(above, above + below), spec)


def _rows(values: Tensor, spec: Tensor) -> Tensor:
    """[batch, ...] -> [batch, spec, ...]: a copy for every row."""
    return tf.repeat(values[:, tf.newaxis], tf.shape(spec)[1], axis=1)


def ascend(
    bound: Bound,
    start: Variables,
    steps: int | Tensor,
    slopes: int,
    enough: float = math.inf,
    rate: float = RATE,
) -> Variables:
    """Projected Adam on the sum of all rows' bounds, which do not share variables.

    bound: the bounds [batch, rows] of variables. start: variables [batch, rows, ...], the first
    `slopes` of them slopes, the others multipliers. enough: once all bounds are above it, the
    ascent ends. rate: of the slopes' steps. Returns the variables of each row's best bound.
    """

    def body(step: Tensor, state: _State) -> tuple[Tensor, _State]:
        variables = state.variables
        with tf.GradientTape() as tape:
            tape.watch(variables)
            bounds = bound(variables)
        gradients = tape.gradient(bounds, variables, unconnected_gradients="zero")
        better = bounds > state.best
        state = state._replace(
            best=tf.where(better, bounds, state.best),
            best_variables=_chosen(better, variables, state.best_variables),
        )
        return step + 1, _adam(state, gradients, step, slopes, rate)

    if not start:  # an affine network
        return start
    zeros = [tf.zeros_like(v) for v in start]
    lowest = tf.fill(tf.shape(start[0])[:2], -float("inf"))
    state = _State(start, zeros, zeros, lowest, start)

    def continues(step: Tensor, state: _State) -> Tensor:
        return (step < steps) & tf.reduce_any(state.best <= enough)

    _, state = tf.while_loop(continues, body, (tf.constant(0), state))
    last = bound(state.variables) > state.best
    return [tf.stop_gradient(v) for v in _chosen(last, state.variables, state.best_variables)]


def _adam(state: _State, gradients: Variables, step: Tensor, slopes: int, rate: float) -> _State:
    """One ascending step of Adam, back into [0, 1] for slopes and [0, inf) for multipliers."""
    t = tf.cast(step + 1, tf.float32)
    a, b = MOMENTS
    common = DECAY**t * tf.sqrt(1.0 - b**t) / (1.0 - a**t)  # to all rates, at this step
    rates = [rate] * slopes + [MULTIPLIER_RATE] * (len(state.variables) - slopes)
    first = [a * m + (1.0 - a) * g for m, g in zip(state.first, gradients, strict=True)]
    second = [b * m + (1.0 - b) * g * g for m, g in zip(state.second, gradients, strict=True)]
    moved = [
        v + pace * common * m / (tf.sqrt(s) + 1e-8)
        for pace, v, m, s in zip(rates, state.variables, first, second, strict=True)
    ]
    clipped = [tf.clip_by_value(v, 0.0, 1.0) for v in moved[:slopes]]
    return state._replace(
        variables=clipped + [tf.nn.relu(v) for v in moved[slopes:]], first=first, second=second
    )


def _chosen(better: Tensor, new: Variables, old: Variables) -> Variables:
    """The new variables of rows that got better, the old ones of the others."""

    def rows(a: Tensor, b: Tensor) -> Tensor:
        shape = tf.concat([tf.shape(better), tf.ones([a.shape.rank - 2], tf.int32)], axis=0)
        return tf.where(tf.reshape(better, shape), a, b)

    return [rows(a, b) for a, b in zip(new, old, strict=True)]
