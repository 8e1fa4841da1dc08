"""Verdicts on certificates: whether they hold."""

from typing import NamedTuple

import numpy as np

from rt_tf.checker.backward import Passes
from rt_tf.checker.enclosure import Enclosure, UndefinedError
from rt_tf.checker.network import Network
from rt_tf.checker.pre_activations import layers, rule_lines
from rt_tf.checker.proofs import Certificate, Proofs
from rt_tf.checker.region import Region, region
from rt_tf.checker.trees import Leaves, listed, margins


class CheckOutcome(NamedTuple):
    """Lower bounds of logit[label] - logit[other] by other class; else why there are none."""

    margins: dict[int, float]
    why: str | None = None

    @property
    def least(self) -> float:
        """The least margin; minus infinity where it is not defined."""
        found = list(self.margins.values())
        return min(found) if found and np.isfinite(found).all() else -np.inf

    @property
    def holds(self) -> bool:
        """Whether every margin is proved to be positive."""
        return self.least > 0.0


def check(network: Network, proofs: Proofs, certificate: Certificate) -> CheckOutcome:
    """Proves a certificate anew: every margin, by its trees or else by its rule."""
    ball = region(proofs.threat, certificate.image, proofs.eps, proofs.domain, proofs.scale)
    try:
        with np.errstate(all="ignore"):  # what is not finite proves nothing
            return CheckOutcome(_margins(network, ball, certificate))
    except UndefinedError as error:
        return CheckOutcome({}, str(error))


def _margins(network: Network, ball: Region, certificate: Certificate) -> dict[int, float]:
    rule = certificate.rule
    enclosure = layers(network, ball, rule.intermediate, rule.slope)
    others = [j for j in range(network.classes) if j != certificate.label]
    ruled = [j for j in others if j not in certificate.trees]
    found = dict(zip(ruled, _by_rule(network, ball, enclosure, certificate, ruled), strict=True))
    for j, bound in _by_trees(network, ball, enclosure, certificate):
        found[j] = float(np.minimum(bound, found.get(j, np.inf)))  # keeps what is not a number
    return found


def _by_rule(
    network: Network,
    ball: Region,
    enclosure: Enclosure,
    certificate: Certificate,
    others: list[int],
) -> list[float]:
    """One pass with the rule's lines; of interval bounds, through the last affine maps alone."""
    if not others:
        return []
    through = frozenset(network.tail()) if certificate.bounds == "interval" else None
    lines = rule_lines(network, enclosure, certificate.rule.slope)
    rows = margins(network.classes, certificate.label, np.array(others))
    passes = Passes(network, ball, enclosure, lines, through)
    return [float(bound) for bound in passes.minimum(network.output, rows)]


def _by_trees(
    network: Network, ball: Region, enclosure: Enclosure, certificate: Certificate
) -> list[tuple[int, float]]:
    """Bounds by the certificate's trees: of every leaf, the other class and the bound."""
    leaves = listed(certificate.trees)
    if not leaves:
        return []
    shared = Leaves(network, ball, enclosure, certificate.rule, certificate.units)
    bounds = shared.bounds(certificate.label, leaves)
    return [(leaf.other, float(b)) for leaf, b in zip(leaves, bounds, strict=True)]
