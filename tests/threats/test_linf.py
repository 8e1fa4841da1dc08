"""The Linf region: its support function, projection, ends and inside test."""

import dataclasses
import itertools
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf

from rt_tf import catalogue
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

GRID = (np.arange(256) / 255).astype(np.float32)
AWKWARD = [0.0, 1e-8, 1e-3, 0.1, 8 / 255, 1 / 3, 0.7, 1.0]


def region(x, eps, **ends):
    return Region(Linf(), tf.constant(x, tf.float32), eps, **ends)


def exactly(values):
    return [Fraction(float(v)) for v in np.asarray(values).ravel()]


def test_the_threat_is_in_the_catalogue():
    assert catalogue.resolve("threat", "linf") is Linf
    assert (Linf.name, Linf.largest) == ("linf", 1.0)


def test_the_least_value_is_at_a_corner():
    rng = np.random.default_rng(0)
    x, v = rng.random((3, 2, 2, 1), np.float32), rng.standard_normal((3, 5, 2, 2, 1))
    r = region(x, tf.constant([0.05, 0.3, 0.9]))
    found = r.minimum(tf.constant(v)).numpy()  # in the precision of the coefficients
    ends = np.stack([end.numpy().astype(np.float64) for end in r.box()]).reshape(2, 3, 4)
    corners = np.stack([ends[list(c), :, range(4)].T for c in itertools.product((0, 1), repeat=4)])
    values = np.einsum("bsn,kbn->kbs", v.reshape(3, 5, 4), corners)
    np.testing.assert_allclose(found, values.min(axis=0), rtol=0.0, atol=1e-12)
    assert r.minimum(tf.constant(v, tf.float32)).dtype == tf.float32


def test_radii_by_example_are_radii_one_at_a_time():
    x = np.random.default_rng(1).random((3, 2, 2, 1), np.float32)
    radii = np.array([0.0, 0.1, 2.0], np.float32)
    together = [end.numpy() for end in region(x, tf.constant(radii)).box()]
    for i, eps in enumerate(radii):
        alone = region(x[i : i + 1], float(eps)).box()
        for whole, end in zip(together, alone, strict=True):
            np.testing.assert_array_equal(whole[i], end.numpy()[0])


@pytest.mark.parametrize("eps", AWKWARD)
def test_outward_contains_and_inward_is_contained_exactly(eps):
    r = region(GRID[np.newaxis], eps)
    outer, inner = ([exactly(end) for end in side.box()] for side in (r.outward(), r.inward()))
    for i, x in enumerate(exactly(GRID)):
        low, high = max(x - Fraction(eps), Fraction(0)), min(x + Fraction(eps), Fraction(1))
        assert outer[0][i] <= low <= high <= outer[1][i]
        assert low <= inner[0][i] <= x <= inner[1][i] <= high
    assert float(outer[1][0] - inner[1][0]) < 2e-6


@pytest.mark.parametrize("ends", [(0.0, 1.0), (-1.0, 1.0), (0.0, 255.0), (-2.1, 2.6)])
def test_other_pixel_ranges_are_rounded_alike(ends):
    lower, upper = (float(np.float32(end)) for end in ends)
    x = (lower + GRID * (upper - lower)).clip(lower, upper).astype(np.float32)
    r = region(x[np.newaxis], 0.1, lower=lower, upper=upper)
    outer, inner = ([exactly(end) for end in side.box()] for side in (r.outward(), r.inward()))
    for i, value in enumerate(exactly(x)):
        low = max(value - Fraction(0.1), Fraction(lower))
        high = min(value + Fraction(0.1), Fraction(upper))
        assert outer[0][i] <= low <= inner[0][i] <= inner[1][i] <= high <= outer[1][i]


def test_projection_is_the_nearest_point():
    rng = np.random.default_rng(2)
    x, z = rng.random((4, 6), np.float32), 3 * rng.standard_normal((4, 6)).astype(np.float32)
    r = region(x, 0.2)
    lower, upper = (end.numpy() for end in r.box())
    projected = r.project(tf.constant(z)).numpy()
    np.testing.assert_array_equal(projected, np.minimum(np.maximum(z, lower), upper))
    np.testing.assert_array_equal(r.project(tf.constant(projected)), projected)
    np.testing.assert_array_equal(r.project(r.x), x)


@pytest.mark.parametrize("eps", AWKWARD[1:])
@pytest.mark.parametrize("noise", [0.0, 0.3, float(np.nextafter(np.float32(1), np.float32(0)))])
def test_starts_lie_inside(eps, noise):
    r = region(GRID[np.newaxis], eps)
    start = r.inward().start(tf.fill([1, 256], noise))
    assert r.inside(start).numpy().all()


def test_uniform_noise_reaches_the_whole_box():
    r = region(np.full((1, 1000), 0.5, np.float32), 0.25)
    start = r.start(tf.random.stateless_uniform([1, 1000], [1, 2])).numpy()
    assert 0.25 <= start.min() < 0.26
    assert 0.74 < start.max() <= 0.75


@pytest.mark.parametrize("eps", [0.25, 0.1, 8 / 255, 1e-8])
@pytest.mark.parametrize("kind", ["number", "tensor"])
def test_inside_is_strict_and_exact(eps, kind):
    """Never a point beyond eps, by however little; what is nearer by a part in 2^50 is inside."""
    x, value = 0.0, tf.constant(eps, tf.float64) if kind == "tensor" else eps
    r = region([[x]], value)
    below = np.float64(eps) * (1 - 2.0**-48)
    answers = [bool(r.inside(tf.constant([[z]], tf.float64))[0]) for z in (0.0, below, eps)]
    assert answers == [True, True, False]
    assert not r.inside(tf.constant([[np.nextafter(eps, 1)]], tf.float64)).numpy().any()


def test_a_radius_is_not_rounded_up_before_it_is_compared():
    """float32 rounds 0.1 up; a point between the two is outside."""
    between = np.float32(0.1)
    assert float(between) > 0.1
    assert not region([[0.0]], 0.1).inside(tf.constant([[between]])).numpy().any()


@pytest.mark.parametrize("point", [-1e-9, 1.0 + 2.0**-23, np.nan, np.inf])
def test_points_outside_the_pixel_range_are_not_inside(point):
    r = region([[0.0], [1.0]], 1.0)
    assert not r.inside(tf.constant([[point], [point]], tf.float32)).numpy().any()


def test_inside_asks_for_every_pixel_and_every_example():
    r = region(np.full((3, 2, 2), 0.5, np.float32), tf.constant([0.1, 0.2, 0.2]))
    x = np.full((3, 2, 2), 0.5, np.float32)
    x[:, 1, 1] = 0.65
    x[2, 0, 0] = 0.71
    assert r.inside(tf.constant(x)).numpy().tolist() == [False, True, False]


def test_steps_are_signs_of_the_gradient():
    step = region([[0.0] * 3], 1.0).step(tf.constant([[-2.0, 0.0, 1e-30]]), tf.constant(0.5))
    assert step.numpy().tolist() == [[-0.5, 0.0, 0.5]]


def test_a_region_holds_its_own_settings():
    r = region([[0.5]], 0.1)
    assert dataclasses.replace(r, eps=0.2).eps == 0.2
    with pytest.raises(dataclasses.FrozenInstanceError):
        r.eps = 0.3
