"""One certificate that depends on its trees, and what the checker says of files."""

import functools

import numpy as np
from kept_proofs import Question, checked, question, tree_proof

from rt_tf.checker import network as checked_network
from rt_tf.checker import proofs as checked_proofs
from rt_tf.checker.malformed import MalformedError
from rt_tf.checker.verdict import check

NAME, EXAMPLE = "dense", 0


@functools.cache
def by_tree() -> tuple[Question, dict[str, np.ndarray]]:
    """A certificate at a radius where the rule alone fails; all of it depends on the trees."""
    largest, beyond = 0.0, 1.0
    for _ in range(20):
        middle = 0.5 * (largest + beyond)
        q = question(NAME)._replace(eps=middle)
        holds = checked(q, [q.certified(EXAMPLE, "crown")])[0].holds
        largest, beyond = (middle, beyond) if holds else (largest, middle)
    q = question(NAME)._replace(eps=1.02 * beyond)
    proof, _ = tree_proof(q, EXAMPLE, splits=4, steps=60)
    return q, q.proofs([q.certified(EXAMPLE, "branch_and_bound", proof)])


def outcome(arrays, network_arrays) -> str:
    """'checked', 'rejected', or what is said of files that are malformed."""
    try:
        network = checked_network.from_arrays(network_arrays)
        proofs = checked_proofs.from_arrays(arrays, network)
    except MalformedError as error:
        return str(error)
    verdicts = [check(network, proofs, certificate) for certificate in proofs.certificates]
    return "checked" if all(v.holds for v in verdicts) else "rejected"
