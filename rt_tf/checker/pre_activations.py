"""Pre-activation bounds: by intervals, or by backward passes of every layer."""

import numpy as np

from rt_tf.checker.backward import Passes, chunks
from rt_tf.checker.enclosure import Enclosure, enclose
from rt_tf.checker.lines import Lines, by_rule
from rt_tf.checker.network import Network
from rt_tf.checker.operations import Operation, Relu, Scale
from rt_tf.checker.region import Region

INTERMEDIATES = ("interval", "backward", "uncut")


def layers(network: Network, region: Region, intermediate: str, rule: str) -> Enclosure:
    """Bounds of every node, by one of three rules.

    interval: by intervals; the first pre-activations by the region's own support function.
    backward: every pre-activation that intervals leave open by a pass with lines by the rule.
    uncut: every pre-activation by such passes alone.
    """
    before = set(network.relus().values())
    bounded = before & network.head() if intermediate == "interval" else before

    def tighten(i: int, enclosure: Enclosure) -> None:
        if i in bounded and not _is_exact(network, region, i):
            if intermediate == "uncut":
                enclosure.forget(i)
            _cut(network, region, enclosure, i, rule, intermediate == "backward")

    return enclose(network, region, tighten)


def rule_lines(network: Network, enclosure: Enclosure, rule: str) -> dict[int, Lines]:
    """Lines by a rule around every activation whose ends exist."""
    return {
        i: by_rule(
            enclosure.lower[k][np.newaxis], enclosure.upper[k][np.newaxis], rule, network.slope(i)
        )
        for i, k in network.relus().items()
        if k in enclosure.lower
    }


def _cut(
    network: Network, region: Region, enclosure: Enclosure, i: int, rule: str, open_alone: bool
) -> None:
    """Cuts the ends of node i by backward passes of its units."""
    is_open = (enclosure.lower[i] < 0.0) & (enclosure.upper[i] > 0.0)
    units = np.flatnonzero(is_open if open_alone else np.ones_like(is_open))
    passes = Passes(network, region, enclosure, rule_lines(network, enclosure, rule))
    found = []
    for chunk in chunks(len(units), network, both=True):
        rows = np.zeros((len(units[chunk]), network.size(i)))
        rows[np.arange(len(rows)), units[chunk]] = 1.0
        found.append(passes.ends(i, rows))
    if len(units):
        lower, upper = (np.concatenate(ends) for ends in zip(*found, strict=True))
        enclosure.cut(i, units, lower, upper)


def _is_exact(network: Network, region: Region, i: int) -> bool:
    """Whether intervals are exact already: a box through one map at most that mixes values."""
    if region.threat != "linf":
        return False
    needed, mixing = {i}, 0
    for k, node in reversed(list(network.numbered())):
        if k in needed:
            needed.update(node.inputs)
            if isinstance(node.op, Relu):
                return False
            mixing += _mixes(node.op)
    return mixing <= 1


def _mixes(op: Operation) -> bool:
    return not isinstance(op, Relu | Scale) and op.terms > 0
