"""The least margin of an image on a region, from below and from above.

From below: bounds, linear programs over the triangles of their boxes, a search with binaries. From
above: the best points of that search and of an attack. A margin is f_y - f_c, of the right class y
and another one c.
"""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.attacks import noise
from rt_tf.attacks.ascent import chosen
from rt_tf.attacks.gradient.apgd import apgd
from rt_tf.attacks.losses import margin
from rt_tf.attacks.starts import uniform
from rt_tf.attacks.task import Task
from rt_tf.bounds.result import Bounds
from rt_tf.certification.solver.binaries import every_unit
from rt_tf.certification.solver.examples import negative_slopes
from rt_tf.certification.solver.matrices import matrices, shapes_of
from rt_tf.certification.solver.programs import Program, program
from rt_tf.certification.solver.solver import Solved, Solver
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.network.trace import trace
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

# The bound whose boxes each bound uses; over the boxes of each of these there is a linear program.
BOXES = {
    "interval": "crown_ibp",
    "crown_ibp": "crown_ibp",
    "dual": "dual",
    "crown": "crown",
    "alpha_crown": "crown",
}
TIGHTEST = "crown"
OPTIONS: dict[str, dict[str, Any]] = {"alpha_crown": {"steps": 40}}
LP_SECONDS = 300.0
STEPS, RESTARTS = 100, 5
SLACK = 1e-4  # of a margin, or of 1: HiGHS's tolerances, float32's rounding


class Question(NamedTuple):
    """Images [n, ...], their classes and the other ones [n], and the radius."""

    images: np.ndarray
    labels: np.ndarray
    others: np.ndarray
    eps: float

    @property
    def region(self) -> Region:
        return Region(Linf(), tf.constant(self.images), self.eps)

    def rows(self, classes: int) -> np.ndarray:
        """The margins f_y - f_c as functions of the logits: float64 [n, classes]."""
        identity = np.eye(classes)
        return identity[self.labels] - identity[self.others]


class Margin(NamedTuple):
    """The margin of one image, and bounds of its least margin on the region.

    clean: of the image itself. bounds: lower ones, by method. programs: minima of the linear
    programs, by the method whose boxes they are over. below: the best lower bound, that of the
    search with binaries included; above: the least margin at a point of the search or the attack;
    solved: whether the search ended, so that they are equal. attack: the least margin at a point of
    APGD. unstable: the number of unstable units in the tightest boxes.
    """

    clean: float
    bounds: dict[str, float]
    programs: dict[str, float]
    below: float
    above: float
    solved: bool
    attack: float
    unstable: int


class _Relentless(Task):
    """A task that is never done: it seeks the least margin, not the first one below zero."""

    def errs(self, logits: Tensor) -> Tensor:
        return tf.zeros(tf.shape(logits)[:1], tf.bool)


def measured(network: keras.Model, question: Question, seconds: float) -> Iterator[Margin]:
    """Yields each image's margin. seconds: for a search with binaries.

    UserError for other activations than (leaky) ReLUs, and for linear programs that take too long.
    """
    wiring = trace(network)
    graph, rows = wiring.lower(), question.rows(wiring.classes)
    slopes = negative_slopes(graph, "tightness")
    bounds = {name: _bounds(name, graph, question.region, rows) for name in BOXES}
    points = least_points(graph, question)
    clean, reached = (_margins(graph, x, rows) for x in (question.images, points))
    linear = matrices(graph, shapes_of(graph, wiring.input_shape))
    make_program = functools.partial(program, graph, linear, slopes)
    for i, row in enumerate(rows):
        programs = {
            name: make_program(_ends(bounds[name], i)) for name in sorted({*BOXES.values()})
        }
        minima = {name: _minimum(one, row) for name, one in programs.items()}
        search = _searched(programs[TIGHTEST], row, points[i], seconds)
        yield Margin(
            float(clean[i]),
            {name: float(one.margins[i, 0]) for name, one in bounds.items()},
            minima,
            max(minima[TIGHTEST], search.bound),
            min(float(reached[i]), search.value),
            search.cause is None,
            float(reached[i]),
            len(programs[TIGHTEST].units),
        )


def disorder(one: Margin) -> list[str]:
    """The figures of a margin that contradict each other, a line each; none where all agree.

    No bound exceeds the linear program over its boxes, wider boxes make no better program, and no
    program exceeds a margin that a point attains.
    """
    pairs = [
        (name, one.bounds[name], f"program over {boxes}", one.programs[boxes])
        for name, boxes in BOXES.items()
    ]
    widest = one.programs["crown_ibp"]
    pairs += [
        (f"program over {name}", value, other, attained)
        for name, value in one.programs.items()
        for other, attained in (("attained", one.above), ("attack", one.attack))
    ]
    pairs += [("widest program", widest, name, one.programs[name]) for name in ("dual", "crown")]
    pairs.append(("crown", one.bounds["crown"], "alpha_crown", one.bounds["alpha_crown"]))
    pairs.append(("below", one.below, "above", one.above))
    return [
        f"{low} {a:.6g} > {high} {b:.6g}"
        for low, a, high, b in pairs
        if a > b + SLACK * max(1.0, abs(b))
    ]


def least_points(graph: Callable[[Tensor], Tensor], question: Question) -> np.ndarray:
    """The points of the least margin, of APGD's restarts and of the image itself: [n, ...]."""
    labels, others = tf.constant(question.labels), tf.constant(question.others)
    keys = noise.keys(tf.constant([0, 0]), tf.range(len(question.labels), dtype=tf.int64))
    task = _Relentless(graph, question.region, labels, keys, margin, others)
    best = question.region.x
    again = tf.function(lambda number: _attack(task.restart(number)), autograph=False)
    for restart in range(RESTARTS):
        x = again(tf.constant(restart))
        best = chosen(task.values(x) > task.values(best), x, best)
    return best.numpy()


def _attack(task: Task) -> Tensor:
    return apgd(task, uniform(task), steps=STEPS)


def _bounds(name: str, graph: Any, region: Region, rows: np.ndarray) -> Bounds:
    method = catalogue.bound(name, OPTIONS.get(name, {}))
    spec = tf.constant(rows[:, np.newaxis], tf.float32)
    return method(graph, region, spec, arithmetic="sound")


def _margins(graph: Callable[[Tensor], Tensor], x: np.ndarray, rows: np.ndarray) -> np.ndarray:
    return (graph(tf.constant(x)).numpy().astype(np.float64) * rows).sum(axis=1)


def _ends(bounds: Bounds, i: int) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    return {node: (_flat(box.lower[i]), _flat(box.upper[i])) for node, box in bounds.boxes.items()}


def _flat(end: Tensor) -> np.ndarray:
    return end.numpy().astype(np.float64).ravel()


def _minimum(one: Program, row: np.ndarray) -> float:
    solved = Solver(one.model()).linear(*one.objective(row), LP_SECONDS)
    if solved.cause is not None:
        raise UserError(
            f"tightness: expected linear programs that take at most {LP_SECONDS:g} s; one of "
            f"{len(one.units)} unstable units ended with '{solved.cause}'; take a smaller radius"
        )
    return solved.value


def _searched(one: Program, row: np.ndarray, point: np.ndarray, seconds: float) -> Solved:
    """The search with a binary for every unit, from the attack's point."""
    binary = every_unit(one)
    start = one.assignment(np.clip(point.astype(np.float64).ravel(), *one.inputs), binary)
    return Solver(one.model(binary), method="choose").integer(*one.objective(row), seconds, start)
