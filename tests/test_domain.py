"""The input's domain: what it holds, how it is rounded, and what it refuses."""

import math
from fractions import Fraction

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


@pytest.mark.parametrize("domain", [Domain(-2.1, 2.6), BY_FEATURE, Domain(0.1, 0.3)])
def test_rounding_outward_keeps_all_and_inward_adds_nothing(domain: Domain) -> None:
    outer, inner = domain.rounded(outward=True), domain.rounded(outward=False)
    ends = [np.ravel(end) for d in (outer, domain, inner) for end in (d.lower, d.upper)]
    for low, high, low0, high0, low1, high1 in zip(*ends, strict=True):
        assert low <= low0 <= low1
        assert high >= high0 >= high1
        for end, exact in ((low, low0), (high, high0), (low1, low0), (high1, high0)):
            assert np.isinf(exact) or end == np.float32(end)
            apart = 0 if np.isinf(exact) else abs(Fraction(end) - Fraction(exact))
            assert apart <= 2.0**-23 * abs(exact) or np.isinf(exact)


@pytest.mark.parametrize(
    ("domain", "x", "inside"),
    [
        (UNIT, [0.0, 1.0, 0.5], True),
        (UNIT, [0.0, 1.0, -0.3], False),
        (UNIT, [0.0, np.nextafter(np.float32(1), np.float32(2)), 0.5], False),
        (UNIT, [0.0, math.nan, 0.5], False),
        (UNLIMITED, [-1e30, 1e30, 0.5], True),
        (UNLIMITED, [0.0, math.inf, 0.5], False),
        (BY_FEATURE, [-2.1, 0.0, -1e9], True),  # float32 rounds -2.1 to the inside, 2.6 beyond
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
