"""Certified radii: for each example, the largest eps tried that has a certificate."""

import time
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.certification.bracket import Bracket, Start, Trial
from rt_tf.certification.intake import images_of, labels_of
from rt_tf.certification.ladder import refuse_coarse_products
from rt_tf.certification.rungs.bound import BoundRung
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import Wiring
from rt_tf.threats.region import Threat

SHARE = 0.5  # of the radius of the network's linearisation: where the first bound begins


class Radius(NamedTuple):
    """The result of one example's search.

    radius: the largest eps certified in a trial, 0 if there is none. rung: the one that certified
    it. trials: of all rungs, in order. seconds: that the example took.
    """

    radius: float
    rung: str | None
    trials: Sequence[Trial]
    seconds: float


class RadiusSearch:
    """Searches certified radii of a network against a threat, in sound arithmetic.

    rungs: bounds that prove; each goes on above the radius that those before it have certified.
    tolerance: relative, see `Bracket`. settings: of all rungs by name; each takes those that it
    has. UserError for rungs that are no bounds that prove, and while TF32 is on.
    """

    def __init__(
        self,
        wiring: Wiring,
        threat: Threat,
        rungs: Sequence[str],
        tolerance: float,
        settings: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        refuse_coarse_products()
        refuse_unproving(rungs)
        self.wiring = wiring
        self.threat = threat
        self.tolerance = tolerance
        self.rungs = {name: BoundRung(name, wiring, threat, settings) for name in rungs}
        signature = [
            tf.TensorSpec([None, *wiring.input_shape], tf.float32),
            tf.TensorSpec([None], tf.int64),
        ]
        self._linear = tf.function(self._linearised, autograph=False, input_signature=signature)

    def search(
        self, images: np.ndarray, labels: np.ndarray, most: np.ndarray
    ) -> Iterator[tuple[int, Radius]]:
        """Yields (row, its radius) as each search ends; all examples step together.

        images: [batch, ...], which are taken as float32; labels: [batch], the classes to certify;
        most: [batch], the largest eps to try. UserError for others, and for images outside of the
        wiring's domain.
        """
        refuse_coarse_products()
        images = images_of(self.wiring, images)
        labels = labels_of(self.wiring, labels, len(images))
        starts, seconds = self._starts(images, labels, most)
        radii = [Radius(0.0, None, (), seconds) for _ in starts]
        rows = list(range(len(starts)))
        for left, name in zip(range(len(self.rungs))[::-1], self.rungs, strict=True):
            brackets = {
                row: Bracket(starts[row]._replace(certified=radii[row].radius), self.tolerance)
                for row in rows
            }
            rows = []
            for row, bracket, spent in self._narrowed(name, brackets, images, labels):
                radii[row] = _further(radii[row], bracket, spent)
                if not left or radii[row].radius >= starts[row].most:
                    yield row, radii[row]
                else:
                    rows.append(row)

    def _starts(
        self, images: np.ndarray, labels: np.ndarray, most: np.ndarray
    ) -> tuple[list[Start], float]:
        """The starts of the searches, and the seconds that each took an example."""
        began = time.perf_counter()
        linear = (t.numpy() for t in self._linear(images, labels.astype(np.int64)))
        columns = zip(*(values.tolist() for values in (*linear, most)), strict=True)
        starts = [Start(margin, SHARE * guess, end) for margin, guess, end in columns]
        return starts, (time.perf_counter() - began) / max(len(starts), 1)

    def _narrowed(
        self, name: str, brackets: dict[int, Bracket], images: np.ndarray, labels: np.ndarray
    ) -> Iterator[tuple[int, Bracket, float]]:
        """Yields (row, bracket, seconds) as each search of a rung ends; all step together."""
        seconds = dict.fromkeys(brackets, 0.0)
        proposals = {row: bracket.next() for row, bracket in brackets.items()}
        while proposals:
            yield from (
                (row, brackets[row], seconds[row]) for row in proposals if proposals[row] is None
            )
            trials = {row: eps for row, eps in proposals.items() if eps is not None}
            rows, eps = np.array(list(trials), np.int64), np.array(list(trials.values()))
            findings = self.rungs[name].at(images[rows], labels[rows], eps) if trials else ()
            for (row, tried), finding in zip(trials.items(), findings, strict=True):
                margin = finding.margin if np.isfinite(finding.margin) else -np.inf
                brackets[row].tell(Trial(tried, name, margin, finding.certified, finding.cause))
                seconds[row] += finding.seconds
            proposals = {row: brackets[row].next() for row in trials}

    def _linearised(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """The margins [batch], and the eps [batch] at which a linear network would lose them.

        The network is taken as linear with the gradients that its margins have at the images.
        """
        graph = self.wiring.lower()
        with tf.GradientTape() as tape:
            tape.watch(images)
            logits = graph(images)
            is_label = tf.one_hot(labels, self.wiring.classes, on_value=True, off_value=False)
            others = tf.reduce_max(tf.where(is_label, -np.inf, logits), axis=1)
            margins = tf.gather(logits, labels, batch_dims=1) - others
        slopes = tape.gradient(margins, images)[:, tf.newaxis]
        return margins, margins / self.threat.dual_norm(slopes)[:, 0]


def refuse_unproving(rungs: Sequence[str]) -> None:
    """Raises UserError for rungs that are no bounds, or whose bounds prove nothing."""
    proving = [n for n in catalogue.certifying_bounds() if not catalogue.BOUNDS[n].probable]
    for rung in rungs:
        if rung not in proving:
            raise UserError(
                f"rungs: expected bounds that prove, of {', '.join(proving)}; received {rung}"
            )


def _further(before: Radius, bracket: Bracket, seconds: float) -> Radius:
    """The radius with the trials of one more rung, whose search has ended."""
    best = [trial for trial in bracket.trials if trial.certified]
    rung = best[-1].rung if best else before.rung
    trials = (*before.trials, *bracket.trials)
    return Radius(bracket.low, rung, trials, before.seconds + seconds)
