"""The input's domain: what it holds, how it is rounded, and what it refuses."""

import math

import numpy as np
import pytest
import tensorflow as tf

from rt_tf.domain import UNIT, UNLIMITED, Domain
from rt_tf.errors import UserError

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
    for given, kept, side in ((lower, domain.lower, -1), (upper, domain.upper, 1)):
        for exact, end in zip(np.ravel(given), np.ravel(kept), strict=True):
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
