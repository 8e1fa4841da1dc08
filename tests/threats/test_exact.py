"""Ends, certificates, points and the inside test against exact arithmetic."""

from fractions import Fraction

import balls
import numpy as np
import pytest
import tensorflow as tf
from balls import AWKWARD, exactly, region

from rt_tf.domain import Domain
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

GRID = (np.arange(256) / 255).astype(np.float32)
RANGES = [(0.0, 1.0), (0.0, 255.0), (-2.1, 2.6), (-1.1, 1.1)]  # float32 rounds the last two
threats = pytest.mark.parametrize("name", balls.THREATS)


def grid(lower, upper, step=1):
    """Pixels from end to end of a range; the middle for what float32 rounds beyond an end."""
    x = (lower + GRID[::step].astype(np.float64) * (upper - lower)).astype(np.float32)
    wide = x.astype(np.float64)
    return np.where((wide >= lower) & (wide <= upper), x, np.float32(0.5 * (lower + upper)))


@threats
@pytest.mark.parametrize("ends", RANGES)
@pytest.mark.parametrize("eps", AWKWARD)
def test_outward_contains_and_inward_is_contained(name, ends, eps):
    x = grid(*ends, step=3)
    r = region(name, x[np.newaxis], eps, lower=ends[0], upper=ends[1])
    outer, inner = ([exactly(end) for end in side.box()] for side in (r.outward(), r.inward()))
    for i, value in enumerate(exactly(x)):
        low = max(value - Fraction(eps), Fraction(r.lower))
        high = min(value + Fraction(eps), Fraction(r.upper))
        assert outer[0][i] <= low <= inner[0][i] <= value <= inner[1][i] <= high <= outer[1][i]
    spread = r.threat.spread(len(x))
    assert float(outer[1][0] - inner[1][0]) < 1e-6 * spread * max(map(abs, ends))


@pytest.mark.parametrize("name", ["l2", "l1"])
@pytest.mark.parametrize("eps", AWKWARD)
def test_minima_over_outward_regions_bound_the_exact_ball(name, eps):
    """In wide pixel ranges: v . x - m >= eps |v|_dual for the bound m, squared for L2."""
    rng = np.random.default_rng(3)
    x = rng.random((4, 40), np.float32)
    v = (rng.standard_normal((4, 3, 40)) * 10.0 ** rng.integers(-6, 6, (4, 3, 1))).astype(
        np.float32
    )
    r = region(name, x, eps, **balls.WIDE)
    bounds = r.outward().minimum(tf.constant(v, tf.float64)).numpy()
    for example, rows, least in zip(x, v, bounds, strict=True):
        for row, bound in zip(rows, least, strict=True):
            w = exactly(row)
            slack = sum(a * b for a, b in zip(w, exactly(example), strict=True)) - exactly(bound)[0]
            assert slack >= 0
            if name == "l1":
                assert slack >= Fraction(eps) * max(map(abs, w))
            else:
                assert slack**2 >= Fraction(eps) ** 2 * sum(a * a for a in w)


@threats
@pytest.mark.parametrize("ends", RANGES)
@pytest.mark.parametrize("eps", [0.0, 1e-8, 1e-3, 1 / 3, 0.7, 30.0])
def test_points_made_inward_are_inside(name, ends, eps):
    rng, x = np.random.default_rng(4), np.stack([grid(*ends, step=8)] * 6)
    r = region(name, x, eps, lower=ends[0], upper=ends[1])
    noise = rng.random(x.shape, np.float32)
    noise[:3] = np.array([[0.0], [0.3], [np.nextafter(np.float32(1), np.float32(0))]])
    inward = r.inward()
    far = [rng.standard_normal(x.shape).astype(np.float32) * 10.0**k for k in (-3, 0, 3)]
    near = x + rng.standard_normal(x.shape).astype(np.float32) * np.float32(eps)
    points = [inward.start(tf.constant(noise))]
    points += [inward.project(tf.constant(z)) for z in (*far, near, x)]
    for z in points:
        assert r.inside(z).numpy().all()
        for centre, point in zip(x, z.numpy(), strict=True):
            assert balls.contains(name, centre, point, eps, r.lower, r.upper)
    np.testing.assert_array_equal(points[-1], x)


@pytest.mark.parametrize("name", ["l2", "l1"])
def test_float32_sums_of_many_pixels_do_not_push_points_outside(name):
    """XLA adds one by one on a CPU: such a sum of equal sizes is off by a part in 10^5."""
    x = np.full((1, 100_000), 0.5, np.float32)
    z = tf.constant(x + np.float32(0.4))
    project = tf.function(lambda eps: region(name, x, eps).inward().project(z), jit_compile=True)
    for share in (0.8, 0.9):
        eps = share * float(balls.size(name, z - x)[0])
        assert region(name, x, eps).inside(project(tf.constant(eps))).numpy().all()


@threats
@pytest.mark.parametrize("pixels", [1, 7, 300])
@pytest.mark.parametrize("kind", ["number", "tensor"])
def test_inside_never_takes_a_point_beyond_the_radius(name, pixels, kind):
    """Radii within float64's rounding of a point's distance, and a little further off."""
    rng = np.random.default_rng(pixels)
    x = rng.random((1, pixels), np.float32)
    answers = {}
    for _ in range(8):
        z = rng.random((1, pixels), np.float32)
        distance = balls.size(name, z.astype(np.float64) - x)[0]
        for parts in (-1e-11, -2e-16, 0.0, 2e-16, 1e-11):
            eps = np.float64(distance * (1.0 + parts))
            radius = tf.constant(eps) if kind == "tensor" else float(eps)
            taken = bool(region(name, x, radius).inside(tf.constant(z))[0])
            assert not taken or balls.contains(name, x, z, float(eps))
            answers.setdefault(parts, set()).add(taken)
    assert answers[-1e-11] == {False}
    assert answers[1e-11] == {True}


@threats
@pytest.mark.parametrize("eps", [0.25, 0.1, 8 / 255, 1e-8])
def test_inside_is_strict(name, eps):
    """Not the radius itself; what is nearer by a part in 2^48 is."""
    r, below = region(name, [[0.0]], eps), eps * (1 - 2.0**-48)
    points = [tf.constant([[z]], tf.float64) for z in (0.0, below, eps, np.nextafter(eps, 1))]
    assert [bool(r.inside(z)[0]) for z in points] == [True, True, False, False]


@threats
def test_a_radius_is_not_rounded_up_before_it_is_compared(name):
    """float32 rounds 0.1 up; a point between the two is outside."""
    between = np.float32(0.1)
    assert float(between) > 0.1
    assert not region(name, [[0.0]], 0.1).inside(tf.constant([[between]])).numpy().any()


@threats
@pytest.mark.parametrize("point", [-1e-9, 1.0 + 2.0**-23, np.nan, np.inf])
def test_points_outside_the_pixel_range_are_not_inside(name, point):
    r = region(name, [[0.0], [1.0]], 1.0)
    assert not r.inside(tf.constant([[point], [point]], tf.float32)).numpy().any()


@threats
@pytest.mark.parametrize("eps", [np.nan, -0.1])
def test_nothing_is_inside_what_is_not_defined(name, eps):
    r = region(name, [[0.5, 0.5]], eps)
    assert not r.inside(tf.constant([[0.5, 0.5]])).numpy().any()


@threats
def test_inside_asks_for_every_pixel_and_every_example(name):
    r = region(name, np.full((3, 2, 2), 0.5, np.float32), tf.constant([0.1, 0.2, 0.2]))
    x = np.full((3, 2, 2), 0.5, np.float32)
    x[:, 1, 1] = 0.65
    x[2, 0, 0] = 0.71
    assert r.inside(tf.constant(x)).numpy().tolist() == [False, True, False]


@pytest.mark.parametrize("ends", RANGES)
def test_a_radius_for_each_feature_is_widened_and_narrowed_by_feature(ends):
    """Features of very different scales, and fixed ones: none is lost, none is let go."""
    rng = np.random.default_rng(5)
    for eps in (1e-30, 1e-8, 0.1, 1e30):
        x = grid(*ends, step=3)
        scale = 10.0 ** rng.uniform(-30.0, 6.0, x.shape) * (rng.random(x.shape) < 0.8)
        r = Region(Linf(scale), tf.constant(x[np.newaxis]), eps, Domain(*ends))
        outer, inner = ([exactly(end) for end in side.box()] for side in (r.outward(), r.inward()))
        for i, value in enumerate(exactly(x)):
            reach = Fraction(eps) * Fraction(scale[i])
            low = max(value - reach, Fraction(r.lower))
            high = min(value + reach, Fraction(r.upper))
            assert outer[0][i] <= low <= inner[0][i] <= value <= inner[1][i] <= high <= outer[1][i]
            assert scale[i] or outer[0][i] == outer[1][i] == value
