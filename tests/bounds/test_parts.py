"""Bounds over a union are the worst of those over its parts, and no worse than in one pass."""

import networks
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.bounds.methods import interval_bounds
from rt_tf.bounds.result import margin_spec
from rt_tf.errors import UserError
from rt_tf.threats.region import Region
from rt_tf.threats.union import Union

METHODS = networks.mostly_slow(
    [name for name, entry in catalogue.BOUNDS.items() if not entry.threats],
    ["interval", "crown_ibp", "dual"],
)


@pytest.fixture(scope="module", params=[(0.2, 0.4, 0.5), (0.02, 0.3, 1.0)])
def question(request):
    model, wiring = networks.known("conv_strided")
    x = tf.constant(networks.images(wiring.input_shape))
    spec = margin_spec(tf.argmax(model(x), axis=1), networks.CLASSES)
    return wiring.lower(), Region(Union(request.param), x, 0.5), spec


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("arithmetic", ["fast", "sound"])
def test_a_unions_bound_is_the_least_of_its_parts(question, method, arithmetic):
    graph, region, spec = question
    bound = catalogue.bound(method, {"steps": 2})
    whole = bound(graph, region, spec, arithmetic=arithmetic)
    parts = [
        bound(graph, part, spec, arithmetic=arithmetic) for part in region.threat.regions(region)
    ]
    margins = np.stack([part.margins for part in parts])
    np.testing.assert_array_equal(whole.margins, margins.min(axis=0))
    for i, box in whole.boxes.items():
        np.testing.assert_array_equal(box.lower, np.min([p.boxes[i].lower for p in parts], axis=0))
        np.testing.assert_array_equal(box.upper, np.max([p.boxes[i].upper for p in parts], axis=0))


def test_part_by_part_is_tighter_than_the_unions_support_in_one_pass(question):
    graph, region, spec = question
    once = interval_bounds.__wrapped__(graph, region, spec).margins.numpy()
    gain = interval_bounds(graph, region, spec).margins.numpy() - once
    assert (gain >= -1e-5).all()
    if region.threat.radii[0] == 0.2:  # else one part is the worst everywhere
        assert gain.max() > 1e-3


def test_a_threat_without_support_function_is_refused(question):
    graph, region, spec = question

    class Shapeless(Union):
        name = "shapeless"
        has_support = False

    unsupported = Region(Shapeless(), region.x, 0.5)
    for method in catalogue.BOUNDS:
        with pytest.raises(UserError, match=r"^threat: expected .*; received shapeless$"):
            catalogue.bound(method)(graph, unsupported, spec)
