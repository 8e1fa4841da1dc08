"""What a rung with slopes of its own keeps for a proof."""

import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.bounds.result import margin_spec
from rt_tf.certification.rung import Query
from rt_tf.certification.rungs.bound import BoundRung
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

pytestmark = pytest.mark.usefixtures("full_precision")


def test_slopes_of_units_whose_sign_is_open_are_kept_and_no_others():
    model, wiring = networks.known("dense")
    x = networks.images(wiring.input_shape, 4)
    labels, eps = model(x).numpy().argmax(axis=1), 0.1
    rung = BoundRung("alpha_crown", wiring, Linf(), {"steps": 2})
    proofs = [finding.proof for finding in rung(Query(x, labels, eps, [None] * 4))]
    graph = wiring.lower()
    region = Region(Linf(), tf.constant(x), eps, wiring.domain)
    spec = margin_spec(labels, wiring.classes)
    bounds = catalogue.bound("crown")(graph, region, spec, arithmetic="sound")
    for k, proof in enumerate(proofs):
        assert proof is not None
        expected = {
            (i, unit)
            for i in graph.activations()
            for unit in np.flatnonzero(_open(bounds.boxes[graph.nodes[i - 1].inputs[0]], k))
        }
        assert set(map(tuple, proof.units.tolist())) == expected
        assert 0 < len(expected) < sum(units_of(graph, bounds))


def _open(box, k: int) -> np.ndarray:
    lower, upper = (end[k].numpy().ravel() for end in box)
    return (lower < 0.0) & (upper > 0.0)


def units_of(graph, bounds) -> list[int]:
    """Of each activation, how many units it has."""
    boxes = [bounds.boxes[graph.nodes[i - 1].inputs[0]] for i in graph.activations()]
    return [box.lower[0].shape.num_elements() for box in boxes]
