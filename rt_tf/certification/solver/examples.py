"""One example for the solver's rungs: its sound bounds, and its network as a program."""

import functools
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf.bounds.backward import lower_bound
from rt_tf.bounds.intermediate import Settings, full_enclosure
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.result import margin_spec
from rt_tf.certification.solver.matrices import Linear, entries, matrices, shapes_of
from rt_tf.certification.solver.programs import Ends, Program, program
from rt_tf.errors import UserError
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Activation, Op, Product, Tensor
from rt_tf.network.relaxations import ACTIVATIONS, relu_lines
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Region, Threat

MOST_ENTRIES = 5e7  # of a network's matrices: 600 MB


class Example(NamedTuple):
    """One image's region, bounds and program.

    region: of batch 1, neither widened nor narrowed. spec: [1, rows, classes]; others: [rows], the
    other class of each row. enclosure, margins ([rows]): sound, by CROWN. program: over the
    enclosure's boxes.
    """

    region: Region
    label: int
    spec: Tensor
    others: np.ndarray
    enclosure: Enclosure
    margins: np.ndarray
    program: Program

    @property
    def open_rows(self) -> np.ndarray:
        """The rows that are not proved, the worst first: [open]."""
        order = np.argsort(self.margins, kind="stable")
        return order[~(self.margins[order] > 0.0)]

    def row(self, k: int) -> np.ndarray:
        """Row k of the specification, float64 [classes]."""
        return self.spec.numpy()[0, k].astype(np.float64)


class Worst(NamedTuple):
    """The input [...] of the least margin, by the network in float32.

    point: None where there was no input to look at. errs: it lies in the region and gets another
    label.
    """

    point: np.ndarray | None
    margin: float
    errs: bool


class Reader:
    """Makes examples of a network.

    rung: the name of the rung that reads, for messages. memory: MiB for the coefficients of
    bounds. UserError for threats other than linf, and for activations other than ReLU and
    LeakyReLU.
    """

    def __init__(self, wiring: Wiring, threat: Threat, rung: str, memory: float) -> None:
        if threat.name != "linf":
            raise UserError(f"{rung}: expected the linf threat; received '{threat.name}'")
        self.wiring, self.threat, self.memory = wiring.certifiable(), threat, memory
        self.graph = wiring.lower()
        self.negative_slopes = negative_slopes(self.graph, rung)
        self.shapes = shapes_of(self.graph, wiring.input_shape)
        self.linear: dict[int, Linear] = {}
        self._bounds = tf.function(self._bound, autograph=False, input_signature=self._signature())

    @property
    def too_large(self) -> bool:
        """Whether the network's matrices take too much memory."""
        return entries(self.graph, self.shapes) > MOST_ENTRIES

    def prepare(self) -> None:
        """Compiles the bounds and takes the network's matrices, once for all examples."""
        if not self.linear and not self.too_large:
            self._bounds.get_concrete_function()
            self.linear = matrices(self.graph, self.shapes)

    def read(self, image: np.ndarray, label: int, eps: float) -> Example:
        """The example of an image [...] without batch, its label and the radius."""
        self.prepare()
        x = tf.constant(image[np.newaxis], tf.float32)
        enclosure, margins = self._bounds(x, tf.constant([label], tf.int64), tf.constant(eps))
        region = Region(self.threat, x, eps, self.wiring.domain)
        ends = {i: _flat(box) for i, box in enclosure.boxes.items()} | {0: _box(region)}
        return Example(
            region,
            label,
            margin_spec(tf.constant([label]), self.wiring.classes),
            np.delete(np.arange(self.wiring.classes), label),
            enclosure,
            margins.numpy()[0],
            program(self.graph, self.linear, self.negative_slopes, ends),
        )

    def worst(self, example: Example, points: list[np.ndarray]) -> Worst:
        """The worst of some inputs, [inputs] or as images [...], once projected into the region."""
        if not points:
            return Worst(None, np.inf, False)
        images = tf.constant(np.stack(points).reshape(-1, *self.wiring.input_shape), tf.float32)
        images = example.region.inward().project(images)
        logits = self.graph(images).numpy()
        margins = logits[:, example.label] - logits[:, example.others].max(axis=1)
        k = int(margins.argmin())
        inside = example.region.inside(images[k : k + 1]).numpy()[0]
        errs = logits[k].argmax() != example.label
        return Worst(images[k].numpy(), float(margins[k]), bool(inside and errs))

    def _signature(self) -> list[tf.TensorSpec]:
        return [
            tf.TensorSpec([None, *self.wiring.input_shape], tf.float32),
            tf.TensorSpec([None], tf.int64),
            tf.TensorSpec([], tf.float32),
        ]

    def _bound(self, images: Tensor, labels: Tensor, eps: Tensor) -> tuple[Enclosure, Tensor]:
        region = Region(self.threat, images, eps, self.wiring.domain).outward()
        settings = Settings("adaptive", "sound", self.memory)
        enclosure = full_enclosure(self.graph, region, settings)
        spec = margin_spec(labels, self.wiring.classes)
        return enclosure, lower_bound(self.graph, region, spec, enclosure, arithmetic="sound")


def _flat(box: tuple[Tensor, Tensor]) -> Ends:
    lower, upper = (end.numpy()[0].astype(np.float64).ravel() for end in box)
    return lower, upper


def _box(region: Region) -> Ends:
    """The exact box of an Linf region's one example, float64: lower and upper [pixels]."""
    x, scale = region.x.numpy()[0].astype(np.float64), getattr(region.threat, "scale", None)
    eps = float(region.eps) * (1.0 if scale is None else np.array(scale))
    lower = np.maximum(x - eps, region.domain.lower)
    return lower.ravel(), np.minimum(x + eps, region.domain.upper).ravel()


def negative_slopes(graph: Graph, rung: str) -> dict[int, float]:
    """The slopes below zero of a network's ReLUs and LeakyReLUs, by node.

    UserError for other activations, and for products of values.
    """
    slopes = {}
    for i in graph.bent():
        node = graph.nodes[i - 1]
        slope = _negative_slope(node.op)
        if slope is None:
            raise UserError(
                f"{rung}: expected piecewise-linear activations (ReLU, LeakyReLU); received "
                f"{_name(node.op)} in layer '{node.name}'"
            )
        slopes[i] = slope
    return slopes


def _negative_slope(op: Op) -> float | None:
    if (
        not isinstance(op, Activation)
        or not isinstance(op.relax, functools.partial)
        or op.relax.func is not relu_lines
    ):
        return None
    return float(op.relax.keywords["negative_slope"])


def _name(op: Op) -> str:
    if isinstance(op, Product):
        return "a product of values"
    return next((name for name, other in ACTIVATIONS.items() if other is op), "another")
