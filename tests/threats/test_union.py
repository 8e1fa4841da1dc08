"""A union of balls is whatever one of its parts is."""

import balls
import numpy as np
import pytest
import tensorflow as tf

from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.threats.region import Region
from rt_tf.threats.union import Union

RADII = (0.25, 0.45, 0.6)
V = np.random.default_rng(7).standard_normal((3, 5, 2, 2, 2))
NOISE = balls.images(seed=1) * 0.999


def region(x=None, eps=1.0, radii=RADII, **ends):
    x = tf.constant(balls.images() if x is None else x)
    return Region(Union(radii), x, eps, Domain(**ends))


def parts(eps=1.0, **ends):
    return [
        balls.region(name, balls.images(), eps * r, **ends)
        for name, r in zip(balls.ORDERS, RADII, strict=True)
    ]


def test_a_point_is_inside_where_it_is_inside_of_a_part():
    rng, x = np.random.default_rng(0), balls.images(400)
    points = (x + rng.uniform(-0.6, 0.6, x.shape) * (rng.random(x.shape) < 0.5)).clip(0, 1)
    inside = region(x).inside(tf.constant(points)).numpy()
    sizes = [balls.size(n, points - x) / r for n, r in zip(balls.ORDERS, RADII, strict=True)]
    np.testing.assert_array_equal(inside, np.min(sizes, axis=0) <= 1.0)
    np.testing.assert_allclose(region(x).distance(tf.constant(points)), np.min(sizes, axis=0))
    assert 40 < inside.sum() < 360


@pytest.mark.parametrize("eps", [0.3, 1.0, 3.0])
def test_support_and_box_are_the_worst_of_the_parts(eps):
    union, v = region(eps=eps), tf.constant(V)
    np.testing.assert_array_equal(
        union.minimum(v), np.min([part.minimum(v) for part in parts(eps)], axis=0)
    )
    lower, upper = union.box()
    np.testing.assert_array_equal(lower, np.min([part.box()[0] for part in parts(eps)], axis=0))
    np.testing.assert_array_equal(upper, np.max([part.box()[1] for part in parts(eps)], axis=0))


def test_the_dual_norm_is_that_of_moves_within_eps():
    """In a wide pixel range the support function is v . x - eps * dual norm."""
    union, v = region(eps=0.5, **balls.WIDE), tf.constant(V)
    centre = np.einsum("bsn,bn->bs", V.reshape(3, 5, 8), balls.images().reshape(3, 8))
    np.testing.assert_allclose(union.minimum(v), centre - 0.5 * union.dual_norm(v), atol=1e-6)


def test_projections_are_the_nearest_of_the_parts_points():
    moved = balls.images()
    moved[0] = balls.images(seed=3)[0]  # all pixels, which the Linf ball allows
    moved[1, 0, 0, 0] = 1.0 - moved[1, 0, 0, 0]  # one, which the L1 ball allows most of
    x = tf.constant(moved)
    points = np.stack([part.project(x).numpy() for part in parts()])
    projected = region().project(x).numpy()
    gaps = np.stack([balls.size("l2", point - x.numpy()) for point in points])
    np.testing.assert_allclose(balls.size("l2", projected - x.numpy()), gaps.min(axis=0), rtol=1e-6)
    assert len(set(gaps.argmin(axis=0))) > 1
    assert region().inside(region().inward().project(x)).numpy().all()


def test_starts_come_from_every_part():
    x = balls.images(300)
    noise = tf.constant(np.random.default_rng(2).random(x.shape, np.float32))
    union = region(x).inward()
    start = union.start(noise)
    assert union.inside(start).numpy().all()
    starts = [part.start(noise).numpy() for part in union.threat.regions(union)]
    chosen = [(start.numpy() == s).all(axis=(1, 2, 3)).sum() for s in starts]
    assert min(chosen) > 60


def test_steps_are_those_that_climb_most():
    gradient, chance = tf.constant(V[:, 0], tf.float32), tf.fill([3], 0.5)
    r = region()
    step = r.step(r.x, gradient, tf.constant(0.5), chance)
    gains = []
    for part, radius in zip(parts(), RADII, strict=True):
        moved = part.project(r.x + part.step(r.x, gradient, tf.constant(0.5 * radius), chance))
        gains.append(tf.reduce_sum(gradient * (moved - r.x), axis=[1, 2, 3]).numpy())
    gain = tf.reduce_sum(gradient * step, axis=[1, 2, 3])
    np.testing.assert_allclose(gain, np.max(gains, axis=0), rtol=1e-6)


def test_a_radius_of_zero_leaves_a_part_out():
    x, v = balls.images(), tf.constant(V)
    alone = region(x, radii=(0.0, 0.3, 0.0))
    assert [ball.name for ball, _ in alone.threat.parts] == ["l2"]
    np.testing.assert_array_equal(alone.minimum(v), balls.region("l2", x, 0.3).minimum(v))


@pytest.mark.parametrize("radii", [RADII, (0.3, 1.5, 12.0)])
@pytest.mark.parametrize("eps", [1e-6, 0.3, 1.0])
def test_regions_taken_inward_and_outward_enclose_each_other(radii, eps):
    """Like the parts' own: no rounding of a point leads out, none of the ends inside."""
    r = region(eps=eps, radii=radii)
    inner, outer = r.inward(), r.outward()
    for part, within, around in zip(
        *(Union(radii).regions(s) for s in (r, inner, outer)), strict=True
    ):
        ulp = 2.0**-23 * radii[["linf", "l2", "l1"].index(part.threat.name)]
        assert (within.eps <= part.inward().eps + ulp).numpy().all()
        assert (around.eps >= part.outward().eps - ulp).numpy().all()


def test_graphs_of_any_batch_answer_alike():
    images = tf.TensorSpec([None, 2, 2, 2])

    @tf.function(input_signature=[images, images])
    def graph(x, noise):
        r = Region(Union(RADII), x, 1.0)
        step = r.step(x, noise - 0.5, r.radius(), noise[:, 0, 0, 0])
        return r.start(noise), r.project(3.0 * noise), step, r.distance(noise)

    for count in (3, 1, 0):
        x, noise = tf.constant(balls.images(count)), tf.constant(balls.images(count, seed=1) * 0.99)
        for compiled, expected in zip(
            graph(x, noise), graph.python_function(x, noise), strict=True
        ):
            np.testing.assert_allclose(compiled, expected, atol=1e-5)


@pytest.mark.parametrize(
    "radii",
    [
        *((np.nan, 0.0, 0.1), (1.0, -1.0, 0.0), (np.inf, 0.0, 0.0), (0.0, 0.0, 0.0)),
        *((1.0, 0.0), (1.0, 0.0, 0.0, 0.0), 0.3, "abc", None),
    ],
)
def test_what_are_no_radii_is_refused_in_a_line(radii):
    with pytest.raises(UserError, match="radii: expected three finite numbers of at least 0"):
        Union(radii)


def test_radii_are_numbers_whatever_they_come_in():
    assert Union(np.float32([0.5, 0.0, 2.0])).radii == Union([0.5, 0, 2]).radii == (0.5, 0.0, 2.0)
