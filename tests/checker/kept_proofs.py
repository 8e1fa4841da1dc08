"""Proofs to check: of small networks, by rules and by trees of splits made here."""

import functools
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import networks
import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.bounds.backward import lower_bound
from rt_tf.bounds.intermediate import Settings, full_enclosure
from rt_tf.bounds.interval import Enclosure
from rt_tf.bounds.relaxation import UnitSplit
from rt_tf.bounds.result import Box, margin_spec
from rt_tf.bounds.slopes import optimised_bound
from rt_tf.certification.proof import Leaf, Proof, Tree
from rt_tf.checker import network as checked_network
from rt_tf.checker import proofs as checked_proofs
from rt_tf.checker.network import Network
from rt_tf.checker.verdict import CheckOutcome, check
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Shared
from rt_tf.proofs.certificates import Certified, Statement, proof_arrays
from rt_tf.proofs.network_file import Arrays, network_arrays
from rt_tf.threats.region import Region

CLASSES = networks.CLASSES
RADII = {"linf": 0.05, "l2": 0.3, "l1": 0.6}
Path = tuple[int, ...]  # signs from the root down


class Question(NamedTuple):
    """A network in both forms, and three examples with a threat."""

    graph: Graph
    arrays: Arrays
    network: Network
    images: np.ndarray
    labels: np.ndarray
    threat: str
    eps: float

    def region(self, rows: list[int] | slice = slice(None)) -> Region:
        threat = catalogue.resolve("threat", self.threat)()
        return Region(threat, tf.constant(self.images[rows]), tf.constant(self.eps, tf.float32))

    def certified(self, k: int, rung: str, proof: Proof | None = None) -> Certified:
        return Certified(k, int(self.labels[k]), self.images[k], rung, proof, None)

    def proofs(self, certificates: list[Certified]) -> Arrays:
        statement = Statement(self.threat, self.eps)
        return proof_arrays(self.network.sha256, statement, CLASSES, certificates)


@functools.cache
def question(name: str, threat: str = "linf", eps: float | None = None) -> Question:
    """Labels are what the network answers, so that something can be proved."""
    model, wiring = networks.known(name)
    arrays = network_arrays(model)
    images = networks.images(wiring.input_shape)
    labels = np.argmax(model(images), axis=1)
    network = checked_network.from_arrays(arrays)
    eps = RADII[threat] if eps is None else eps
    return Question(wiring.lower(), arrays, network, images, labels, threat, eps)


def checked(q: Question, certificates: list[Certified]) -> list[CheckOutcome]:
    """What the checker says of certificates, by way of the files' arrays."""
    proofs = checked_proofs.from_arrays(q.proofs(certificates), q.network)
    return [check(q.network, proofs, certificate) for certificate in proofs.certificates]


def margins_of(verdicts: list[CheckOutcome]) -> np.ndarray:
    """[examples, other classes]."""
    return np.array([[m for _, m in sorted(v.margins.items())] for v in verdicts])


class Shape(NamedTuple):
    """A tree over units to split, in this order: nodes in preorder and the leaves' signs."""

    nodes: np.ndarray
    paths: list[Path]


def full_tree(units: list[tuple[int, int]]) -> Shape:
    """Both children of every split are split alike."""

    def nodes(depth: int) -> Iterator[tuple[int, int]]:
        yield units[depth] if depth < len(units) else (-1, -1)
        if depth < len(units):
            yield from [*nodes(depth + 1), *nodes(depth + 1)]

    return Shape(_pairs(nodes(0)), list(itertools.product([1, -1], repeat=len(units))))


def comb(units: list[tuple[int, int]]) -> Shape:
    """The first child of every split is a leaf."""
    nodes = [pair for unit in units for pair in (unit, (-1, -1))]
    paths = [(*[-1] * depth, 1) for depth in range(len(units))]
    return Shape(_pairs([*nodes, (-1, -1)]), [*paths, (-1,) * len(units)])


def _pairs(nodes) -> np.ndarray:
    return np.array(list(nodes), np.int32).reshape(-1, 2)


def tree_proof(
    q: Question, k: int, splits: int = 3, shape=full_tree, shared: bool = False, steps: int = 10
) -> tuple[Proof, np.ndarray]:
    """A proof by one tree for every other class, and the library's own margins by it."""
    rule = "parallel" if shared else "adaptive"
    enclosure = full_enclosure(q.graph, q.region([k]).outward(), Settings(rule, "sound"))
    tree = shape(_widest(q.graph, enclosure, splits))
    leaves = len(tree.paths)
    region = q.region([k] * leaves).outward()
    cut, signs = _cut(q.graph, enclosure, tree)
    spec = margin_spec(tf.constant([q.labels[k]] * leaves), CLASSES)
    best = optimised_bound(
        q.graph, region, spec, cut, steps=steps, shared=shared, splits=signs, arithmetic="sound"
    )
    slopes = {i: s.numpy().astype(np.float16) for i, s in best.slopes.items()}
    margins = lower_bound(
        q.graph,
        region,
        spec,
        cut,
        slope={i: Shared(_float(s)) if shared else _float(s) for i, s in slopes.items()},
        splits={i: UnitSplit(signs[i], m) for i, m in best.multipliers.items()},
        arithmetic="sound",
    )
    units = _unstable(q.graph, enclosure)
    others = [j for j in range(CLASSES) if j != q.labels[k]]
    trees = {
        j: Tree(tree.nodes, _leaves(tree, units, slopes, best.multipliers, row))
        for row, j in enumerate(others)
    }
    kept = {"intermediate": "backward", "slope": rule, "shared": shared}
    return Proof(kept, units, trees), margins.numpy().min(axis=0)


def _float(slopes: np.ndarray) -> tf.Tensor:
    return tf.constant(slopes.astype(np.float32))


def _widest(graph: Graph, enclosure: Enclosure, count: int) -> list[tuple[int, int]]:
    """The unstable units that reach furthest to both sides."""
    widths = []
    for i in sorted(graph.preactivations()):
        lower, upper = (end.numpy().ravel() for end in enclosure.boxes[i])
        widths += [
            (float(min(-a, b)), i, u) for u, (a, b) in enumerate(zip(lower, upper, strict=True))
        ]
    return [(i, u) for width, i, u in sorted(widths, reverse=True)[:count] if width > 0.0]


def _cut(graph: Graph, enclosure: Enclosure, tree: Shape) -> tuple[Enclosure, dict]:
    """Boxes of all leaves, cut by their signs, and the signs by node."""
    leaves = len(tree.paths)
    boxes = {i: Box(*(tf.repeat(e, leaves, axis=0) for e in b)) for i, b in enclosure.boxes.items()}
    sums = {i: tf.repeat(m, leaves, axis=0) for i, m in enclosure.magnitudes.items()}
    signs = {}
    for i in sorted(graph.preactivations()):
        box = boxes[i]
        sign = np.zeros((leaves, int(np.prod(box.lower.shape[1:]))), np.float32)
        for row, splits in enumerate(splits_of(tree)):
            for (node, unit), s in splits:
                if node == i:
                    sign[row, unit] = s
        sign = tf.constant(sign.reshape(box.lower.shape))
        lower = tf.where(sign > 0, tf.nn.relu(box.lower), box.lower)
        upper = tf.where(sign < 0, -tf.nn.relu(-box.upper), box.upper)
        boxes[i], signs[i] = Box(lower, upper), sign
    return Enclosure(boxes, sums), signs


def splits_of(tree: Shape) -> list[list[tuple[tuple[int, int], int]]]:
    """For each leaf, the units split above it and their signs."""
    units = list(dict.fromkeys(tuple(pair) for pair in tree.nodes.tolist() if pair[0] >= 0))
    return [list(zip(units, path, strict=False)) for path in tree.paths]


def _unstable(graph: Graph, enclosure: Enclosure) -> np.ndarray:
    units = []
    for i in graph.activations():
        box = enclosure.boxes[graph.nodes[i - 1].inputs[0]]
        open_units = np.flatnonzero((box.lower < 0).numpy() & (box.upper > 0).numpy())
        units += [(i, u) for u in open_units]
    return np.array(units, np.int32).reshape(-1, 2)


def _leaves(tree: Shape, units: np.ndarray, slopes: dict, multipliers: dict, row: int) -> list:
    def of(values: dict, leaf: int, pairs) -> np.ndarray:
        return np.array([np.asarray(values[i])[leaf, row].ravel()[u] for i, u in pairs])

    return [
        Leaf(
            of(slopes, leaf, units.tolist()).astype(np.float16),
            of(multipliers, leaf, [pair for pair, _ in splits]).astype(np.float32),
        )
        for leaf, splits in enumerate(splits_of(tree))
    ]
