"""The Wasserstein threat against linear programs over all moves, and by hand."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import transports

from rt_tf.domain import Domain
from rt_tf.errors import UserError
from rt_tf.threats.region import Region
from rt_tf.threats.wasserstein.ball import Wasserstein

X = transports.images(8)
D = 32**0.5  # the diameter of 5 x 5 pixels
EPS = np.array([0.05, 0.05, 0.2, 0.2, 0.5, 0.5, 1.5, 1.5], np.float32)


@functools.cache
def graph(method, threat, shape, ends):
    """A method of the threat, on a region taken inward if it makes points: of any batch."""

    def ask(x, eps, other):
        region = Region(threat, x, eps, Domain(*ends))
        makes_points = method in ("project", "start")
        return getattr(threat, method)(region.inward() if makes_points else region, other)

    specs = tf.TensorSpec([None, *shape]), tf.TensorSpec([None]), tf.TensorSpec([None, *shape])
    return tf.function(ask, input_signature=specs, autograph=False)


def compiled(method, threat=None, ends=(0.0, 1.0)):
    """A graph of x, eps and one tensor more, of NumPy arrays."""

    def ask(x, eps, other):
        call = graph(method, threat or Wasserstein(), x.shape[1:], ends)
        return call(*(tf.constant(t, tf.float32) for t in (x, eps, other))).numpy()

    return ask


def moved(x, reach, seed=0):
    return (x + reach * np.random.default_rng(seed).standard_normal(x.shape)).astype(np.float32)


def shares(x):
    return x.astype(np.float64) / x.sum(axis=(1, 2, 3), keepdims=True, dtype=np.float64)


def distances(x, z):
    return np.array([transports.distance(*pair) for pair in zip(shares(x), shares(z), strict=True)])


@pytest.mark.parametrize("reach", [0.01, 0.3, 5.0])
def test_projections_are_inside_and_in_the_ball(reach):
    z = compiled("project")(X, EPS, moved(X, reach))
    assert compiled("inside")(X, EPS, z).all()
    assert ((z >= 0.0) & (z <= 1.0)).all()
    np.testing.assert_allclose(z.sum(axis=(1, 2, 3)), X.sum(axis=(1, 2, 3)), rtol=3e-7)
    assert (distances(X, z) <= EPS + 1e-7).all()
    assert not (z == X).all(axis=(1, 2, 3)).any()


def test_starts_are_inside_and_a_function_of_the_noise():
    noise = np.random.default_rng(1).random(X.shape, np.float32)
    z = compiled("start")(X, EPS, noise)
    assert compiled("inside")(X, EPS, z).all()
    assert (distances(X, z) <= EPS + 1e-7).all()
    other = compiled("start")(X, EPS, noise[::-1].copy())
    assert not np.isclose(z, other, atol=1e-4).all(axis=(1, 2, 3)).any()


def test_distances_are_upper_bounds_and_near():
    """Distances of points from everywhere, far moves among them."""
    z = np.concatenate([compiled("project")(X, 2.0 * EPS, moved(X, 0.5, 2)), X[:, ::-1]])
    x = np.concatenate([X, X])
    bounds, least = compiled("distance")(x, np.tile(EPS, 2), z), distances(x, z)
    assert (bounds >= least - 1e-7).all()
    assert (bounds <= np.repeat([1.06, 1.6], len(X)) * least).all()


def test_inside_is_never_true_outside():
    z = np.concatenate([compiled("project")(X, EPS, moved(X, 0.5, 3))] * 2)
    least = np.maximum(distances(np.concatenate([X, X]), z), 1e-3)
    eps = least * np.repeat([0.999, 1.2], len(X))
    inside = compiled("inside")(np.concatenate([X, X]), eps.astype(np.float32), z)
    assert not inside[: len(X)].any()
    assert inside[len(X) :].mean() > 0.7


@pytest.mark.parametrize(("p", "costs"), [(1.0, [1, 4, 5]), (3.0, [1, 4**2 * D, 5**2 * D])])
def test_distances_by_hand(p, costs):
    """One pixel moves, within the local plans or beyond; large powers take the image's diameter."""
    x, z = np.zeros((2, 3, 5, 5, 1), np.float32)
    x[:, 0, 0] = z[0, 0, 1] = z[1, 4, 0] = z[2, 3, 4] = 0.5
    measure = compiled("distance", Wasserstein(size=3, p=p))
    np.testing.assert_allclose(measure(x, EPS[:3], z), costs, rtol=1e-9)
    assert measure(x, EPS[:3], x).tolist() == [0.0, 0.0, 0.0]


def test_points_of_the_ball_stay_where_they_are():
    z = compiled("project")(X, EPS, moved(X, 0.2))
    np.testing.assert_array_equal(compiled("project")(X, EPS, z), z)
    np.testing.assert_array_equal(compiled("project")(X, EPS, X), X)
    np.testing.assert_array_equal(compiled("project")(X, 0.0 * EPS, moved(X, 0.2)), X)
    assert compiled("inside")(X, 0.0 * EPS, X).all()
    tiny = compiled("project")(X, 1e-4 * EPS, moved(X, 0.2))
    np.testing.assert_allclose(tiny, X, atol=2e-3)


def test_batches_are_examples_one_by_one_and_graphs_are_eager():
    z = moved(X, 0.1)[:3]
    together = compiled("project")(X[:3], EPS[:3], z)
    for i in range(3):
        alone = compiled("project")(X[i : i + 1], EPS[i : i + 1], z[i : i + 1])
        np.testing.assert_allclose(alone[0], together[i], atol=1e-6)
    few = Wasserstein(iterations=4)
    eager = few.project(Region(few, tf.constant(X), tf.constant(EPS)).inward(), moved(X, 0.1))
    np.testing.assert_allclose(compiled("project", few)(X, EPS, moved(X, 0.1)), eager, atol=1e-6)


def test_of_a_black_image_nothing_comes():
    x = np.concatenate([0.0 * X[:1], X[1:]])
    z = compiled("project")(x, EPS, moved(x, 0.3))
    np.testing.assert_array_equal(z[0], x[0])
    z[0, 0, 0] = 1e-6
    assert compiled("inside")(x, EPS, z).tolist() == [False, *[True] * 7]


def test_channels_keep_their_sums_in_any_pixel_range():
    """One channel is dark; float32 rounds both ends, the lower one beyond the range."""
    ends, dark = (-1.1, 2.6), np.nextafter(np.float32(-1.1), np.float32(0.0))
    x = np.maximum(3.7 * transports.images(3, (4, 4, 3), seed=5) - 1.1, dark)
    x[0, :, :, 2] = dark
    z = compiled("project", ends=ends)(x, EPS[-3:], moved(x, 0.5))
    assert compiled("inside", ends=ends)(x, EPS[-3:], z).all()
    np.testing.assert_allclose(z[0, :, :, 2], dark, atol=1e-6)
    np.testing.assert_allclose(z.sum(axis=(1, 2)), x.sum(axis=(1, 2)), atol=1e-5)
    assert not np.isclose(z, x, atol=1e-2).all(axis=(1, 2, 3)).any()


def test_what_is_not_inside():
    shift = np.zeros_like(X[:1])
    shift[0, :2, 1, 0] = [1e-3, -1e-3]
    x = X[:1].clip(0.1, 0.9)
    more, beyond, undefined = x + np.float32(1e-4), x.copy(), x.copy()
    beyond[0, 0, 0, 0], undefined[0, 0, 0, 0] = 1.5, np.nan
    z = np.concatenate([x, x + shift, more, beyond, undefined])
    inside = compiled("inside")
    assert inside(np.repeat(x, 5, 0), np.full(5, 1.0, np.float32), z).tolist() == [
        True,
        True,
        False,
        False,
        False,
    ]
    for eps in (np.nan, -0.1):
        assert not inside(np.repeat(x, 5, 0), np.full(5, eps, np.float32), z).any()


def test_steps_are_signs_and_the_box_is_the_pixel_range():
    region = Region(Wasserstein(), tf.constant(X), 0.5, Domain(-1.0, 3.0))
    gradient = tf.constant(moved(0.0 * X, 1e-20)) * tf.cast(X > 0.0, tf.float32)
    step = region.threat.step(region, region.x, gradient, tf.constant(0.05), tf.zeros([8]))
    np.testing.assert_allclose(step, 0.4 * np.sign(gradient), rtol=1e-6)
    assert [set(end.numpy().ravel()) for end in region.box()] == [{-1.0}, {3.0}]


def test_bounds_and_bad_options_are_refused():
    region = Region(Wasserstein(), tf.constant(X), 0.5)
    for ask in (region.minimum, region.dual_norm):
        with pytest.raises(UserError, match="support function .* received wasserstein"):
            ask(tf.zeros([8, 1, 4, 4, 1]))
    for options in ({"size": 4}, {"size": 1}, {"p": 0.5}, {"weight": 0.0}, {"p": np.nan}):
        with pytest.raises(UserError, match="threat wasserstein: [a-z]+: expected .*; received"):
            Wasserstein(**options)
    flat = Region(Wasserstein(), tf.zeros([2, 16]), 0.5)
    with pytest.raises(UserError, match=r"received the shape \(16,\)"):
        flat.project(flat.x)
