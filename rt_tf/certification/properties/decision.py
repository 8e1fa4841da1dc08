"""Decisions on a network's properties: an attack, bounds from loose to tight, complete searches."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import keras
import numpy as np
import tensorflow as tf

from rt_tf.bounds.rounding import products_are_exact
from rt_tf.certification.properties.counterexample import Counterexample, Goal, candidates
from rt_tf.certification.properties.exclusion import (
    METHODS,
    ClauseResult,
    Ends,
    Screen,
    Search,
    search_clause,
)
from rt_tf.errors import UserError
from rt_tf.interchange.property import Clause, Property, inner, outer
from rt_tf.network.graph import Graph
from rt_tf.network.trace import trace
from rt_tf.threats.box import between
from rt_tf.threats.region import Region


class VnnAnswer(NamedTuple):
    """The answer in VNN-COMP's words: unsat (proved), sat (with an input), unknown, timeout.

    by: the method that decided, or why none did.
    """

    answer: str
    by: str
    counterexample: Counterexample | None = None


class Answering(Protocol):
    """A network as its file, or its owner, computes it, beside the Keras model that is bounded.

    model: inputs [batch, ...] to outputs [batch, outputs]. positions: the places of the numbers of
    a flat input in a flattened input of the model. notes: on differences of the two.
    """

    @property
    def model(self) -> keras.Model: ...

    @property
    def positions(self) -> np.ndarray: ...

    @property
    def notes(self) -> tuple[str, ...]: ...

    def laid(self, flat: np.ndarray) -> np.ndarray:
        """Inputs of the Keras model, from flat ones [batch, inputs]."""

    def evaluate(self, flat: np.ndarray) -> np.ndarray:
        """The outputs for one flat input [inputs] in float32: [outputs]."""


@dataclasses.dataclass(frozen=True)
class Decider:
    """Decides properties of one network.

    left: the seconds that are left. searches: complete ones by name, for clauses that the bounds
    leave open. seed: of the attack.
    """

    network: Answering
    graph: Graph
    left: Callable[[], float]
    searches: dict[str, Search]
    seed: int = 0

    def decide(self, properties: Sequence[Property]) -> VnnAnswer:
        """The verdict on all properties together: sat if any has a counterexample."""
        if not properties:
            return VnnAnswer("unsat", "no case is possible")
        if counterexample := self._attack(properties):
            return VnnAnswer("sat", "attack", counterexample)
        rest = {i: list(property_.clauses) for i, property_ in enumerate(properties)}
        lower, upper = self._laid(*outer(properties))
        screen = Screen(self.graph, lower.shape[1:], self.left)
        for by in METHODS:
            if self.left() <= 0.0:
                return VnnAnswer("timeout", by)
            boxes = list(rest)
            still = screen.left_open(by, (lower[boxes], upper[boxes]), list(rest.values()))
            rest = {i: clauses for i, clauses in zip(boxes, still, strict=True) if clauses}
            if not rest:
                return VnnAnswer("unsat", by)
        return self._all_searched(properties, (lower, upper), rest)

    def _attack(self, properties: Sequence[Property]) -> Counterexample | None:
        """A counterexample to any of the properties by projected gradients; None without one."""
        goals = [Goal(i, clause) for i, each in enumerate(properties) for clause in each.clauses]
        ends = self._laid(*inner(properties))
        for i, x in candidates(self.graph, ends, goals, self.seed, self.left):
            if counterexample := self._counterexample_at(properties[i], x):
                return counterexample
        return None

    def _counterexample_at(self, property_: Property, x: np.ndarray) -> Counterexample | None:
        """The counterexample at a Keras input, if the ONNX network too breaks the property."""
        flat = x.ravel()[self.network.positions]
        ours = self.network.model(x[np.newaxis], training=False).numpy()[0]
        theirs = self.network.evaluate(flat)
        if all(any(c.holds(y) for c in property_.clauses) for y in (ours, theirs)):
            return Counterexample(property_.point(flat), theirs)
        return None

    def _all_searched(
        self, properties: Sequence[Property], ends: Ends, rest: dict[int, list[Clause]]
    ) -> VnnAnswer:
        """The verdict of the complete searches, box by box; an open box does not end them."""
        verdicts = []
        for i, clauses in rest.items():
            region = between(*(tf.constant(end[i : i + 1]) for end in ends))
            verdicts.append(self._searched(properties[i], region, clauses))
            if verdicts[-1].answer == "sat":
                return verdicts[-1]
        undecided = [verdict for verdict in verdicts if verdict.answer != "unsat"]
        return undecided[0] if undecided else verdicts[-1]

    def _searched(self, property_: Property, region: Region, rest: list[Clause]) -> VnnAnswer:
        """The verdict of each complete search in turn, clause by clause."""
        reasons: dict[str, None] = {"all methods": None}  # in order, and each once
        for by, search in self.searches.items():
            still = []
            for clause in rest:
                if self.left() <= 0.0:
                    return VnnAnswer("timeout", by)
                result = search_clause(search, self.graph, region, clause, self.left())
                if point := self._confirmed(property_, result):
                    return VnnAnswer("sat", by, point)
                if not result.excluded:
                    still.append(clause)
                    reasons |= {f"{by}: {result.why}": None} if result.why else {}
            rest = still
            if not rest:
                return VnnAnswer("unsat", by)
        return VnnAnswer("timeout" if self.left() <= 0.0 else "unknown", "; ".join(reasons))

    def _confirmed(self, property_: Property, result: ClauseResult) -> Counterexample | None:
        """The counterexample at a search's point, moved from the outer to the inner ends."""
        if result.point is None:
            return None
        ends = self._laid(*inner([property_]))
        region = between(*(tf.constant(end) for end in ends))
        point = region.project(result.point[np.newaxis])[0].numpy()
        return self._counterexample_at(property_, point)

    def _laid(self, lower: np.ndarray, upper: np.ndarray) -> Ends:
        return self.network.laid(lower), self.network.laid(upper)


def decider(
    network: Answering,
    properties: Sequence[Property],
    left: Callable[[], float],
    searches: dict[str, Search],
    seed: int = 0,
) -> Decider:
    """A decider of properties of this network.

    left: the seconds that are left. searches: complete ones by name. seed: of the attack. UserError
    where network and properties do not fit, where the network has a final softmax or is not in
    float32, and while TF32 is on.
    """
    if network.notes:
        raise UserError(
            "onnx_file: expected a network in float32 without a final softmax, since properties "
            f"are of its outputs; {network.notes[0]}"
        )
    sizes = (network.positions.size, network.model.output_shape[-1])
    for property_ in properties:
        received = (len(property_.lower), property_.clauses[0].rows.shape[1])
        if received != sizes:
            raise UserError(
                f"vnnlib_file: expected a property of {sizes[0]} inputs and {sizes[1]} outputs, as "
                f"the network has; received one of {received[0]} and {received[1]}"
            )
    if not products_are_exact(tf.constant(1.0)):
        raise UserError("verify: expected full float32 products; TF32 is on")
    graph = trace(network.model, logits=False).certifiable().lower()
    return Decider(network, graph, left, searches, seed)
