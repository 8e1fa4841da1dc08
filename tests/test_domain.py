"""The input's domain: what it holds, how it is rounded, and what it refuses."""

import ast
import math
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from rt_tf import data
from rt_tf.domain import UNIT, UNLIMITED, Domain
from rt_tf.errors import UserError
from rt_tf.network.trace import trace
from rt_tf.serving.endpoints import endpoints
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region, largest_radius
from rt_tf.training.model import RobustModel

BY_FEATURE = Domain([-2.1, 0.0, -math.inf], [2.6, 0.0, 1.1])


def test_it_is_zero_to_one_by_default() -> None:
    assert (UNIT.lower, UNIT.upper, str(UNIT)) == (0.0, 1.0, "[0, 1]")
    assert Domain.of(None) is UNLIMITED
    assert Domain.of((-1, 1)).lower == -1.0
    assert Domain.of(BY_FEATURE) is BY_FEATURE


@pytest.mark.parametrize("domain", [UNIT, UNLIMITED, BY_FEATURE, Domain(-2.1, 2.6)])
def test_its_json_is_itself(domain: Domain) -> None:
    same = Domain.from_config(domain.config())
    np.testing.assert_array_equal(same.lower, domain.lower)
    np.testing.assert_array_equal(same.upper, domain.upper)


@pytest.mark.parametrize(
    ("lower", "upper"), [(-2.1, 2.6), ([0.1, -np.inf], [0.1, 1.1]), (-1e300, 1e-300), (-1, 1)]
)
def test_its_ends_are_the_float32_numbers_nearest_outside(lower, upper) -> None:
    """So that an input that was rounded to float32 is inside, and all agree on where it ends."""
    domain = Domain(lower, upper)
    for written, stored, side in ((lower, domain.lower, -1), (upper, domain.upper, 1)):
        for exact, end in zip(np.ravel(written), np.ravel(stored), strict=True):
            assert end == np.float32(end) or np.isinf(end)
            assert side * end >= side * exact
            back = np.nextafter(np.float32(end), np.float32(-side * np.inf))
            assert end == exact or side * float(back) < side * exact
    assert str(Domain(-1, 255)) == "[-1, 255]"


@pytest.mark.parametrize(
    ("domain", "x", "inside"),
    [
        (UNIT, [0.0, 1.0, 0.5], True),
        (UNIT, [0.0, 1.0, -0.3], False),
        (UNIT, [0.0, np.nextafter(np.float32(1), np.float32(2)), 0.5], False),
        (UNIT, [0.0, math.nan, 0.5], False),
        (UNLIMITED, [-1e30, 1e30, 0.5], True),
        (UNLIMITED, [0.0, math.inf, 0.5], False),
        (BY_FEATURE, [-2.1, 0.0, -1e9], True),  # float32 rounds one of these ends outward
        (BY_FEATURE, [2.6, 0.0, 1.1], True),
        (BY_FEATURE, [0.0, 1e-6, 0.0], False),
    ],
)
def test_points_outside_are_refused_in_one_line(domain: Domain, x: list, inside: bool) -> None:
    points = np.array([[0.0, 0.0, 0.5], x], np.float32)
    compiled = tf.function(domain.contains)
    assert compiled(tf.constant(points)).numpy().tolist() == [True, inside]
    if inside:
        domain.check(points)
        return
    with pytest.raises(UserError, match=r"images: expected values within the domain .*; received"):
        domain.check(points)


@pytest.mark.parametrize(
    ("ends", "words"),
    [
        ((1.0, 0.0), "received 1 above 0"),
        (([0.0, 2.0], [1.0, 1.5]), "received 2 above 1.5"),
        ((math.nan, 1.0), "not"),
        (("low", 1.0), "'low'"),
        ((0.0, 1.0, 2.0), "a pair"),
        (0.5, "a pair"),
    ],
)
def test_what_is_no_domain_is_refused(ends: tuple, words: str) -> None:
    with pytest.raises(UserError, match=f"domain: expected .*{words}"):
        Domain.of(ends)


def test_arrays_are_of_the_inputs_shape() -> None:
    assert BY_FEATURE.fits((3,))
    assert not BY_FEATURE.fits((1, 3))
    assert UNLIMITED.fits((2, 2, 1))


def linear() -> keras.Model:
    """Two classes of one input."""
    return keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])


DOORS = {  # whatever takes a domain from a user: the domain that it then works in
    "trace": lambda written: trace(linear(), domain=written).domain,
    "RobustModel": lambda written: RobustModel(linear(), domain=written).wiring.domain,
    "Region": lambda written: Region(Linf(), tf.zeros([1, 1]), 0.1, written).domain,
    "made_up": lambda written: data.synthetic("digits", domain=written).domain,
}


@pytest.mark.parametrize("door", DOORS)
def test_every_door_takes_a_domain_as_users_write_it(door: str) -> None:
    for written in ((-1, 2), [-1, 2], Domain(-1, 2)):
        assert DOORS[door](written).config() == {"lower": -1.0, "upper": 2.0}
    if door != "made_up":  # images are between black and white
        assert DOORS[door](None) is UNLIMITED
    with pytest.raises(UserError, match="domain: expected a pair.*received 1"):
        DOORS[door](1)


def test_a_served_certificate_is_of_the_domain_given_as_a_pair() -> None:
    certify = endpoints(linear(), Linf(), (-1, 2))["certify"].compute
    images = tf.constant([[-1.5], [-0.5], [1.5], [2.5]])
    margins = certify(images, tf.constant(0.0))["margin"].numpy()
    assert np.isfinite(margins).tolist() == [False, True, True, False]
    assert largest_radius(Linf(), (-1, 2)) == 3.0


def test_parameters_of_the_library_take_what_users_write() -> None:
    """By one name, `Given`, which `Domain.of` reads; private functions may know better."""
    others = [
        f"{path.name}: {node.name}"
        for path in (Path(__file__).parents[1] / "rt_tf").glob("**/*.py")
        if path.parent.name != "checker"  # which uses nothing else of the library
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and (node.name == "__init__" or node.name[0] != "_")
        for argument in [*node.args.args, *node.args.kwonlyargs]
        if argument.arg == "domain" and ast.unparse(argument.annotation) != "Given"
    ]
    assert others == []
