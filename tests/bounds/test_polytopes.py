"""Polygons of half planes, and outer bounds of what a network of two outputs reaches."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial import ConvexHull, HalfspaceIntersection

from rt_tf import catalogue
from rt_tf.bounds.methods import dual_bounds
from rt_tf.network.trace import trace
from rt_tf.reporting.figures.polygons import area, directions, intersection
from rt_tf.reporting.figures.polytopes import on_grid, outer_polygon, polytope
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

CENTRE, EPS = np.array([0.4, 0.6], np.float32), 0.125
METHODS = {"interval": {}, "dual": {}, "crown": {}, "alpha_crown": {"steps": 10}}


def region(eps=EPS):
    return Region(Linf(), tf.constant(CENTRE[np.newaxis]), eps)


def linear(matrix):
    """A network that is one matrix; its polytope is the box's image."""
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    model.set_weights([np.array(matrix, np.float32).T, np.array([0.25, -1.0], np.float32)])
    return trace(model).lower()


def wavy(seed=0):
    draw = np.random.default_rng(seed)
    layers = [keras.layers.Dense(20, "relu") for _ in range(3)]
    model = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(2)])
    model.set_weights([draw.standard_normal(w.shape) / 3 for w in model.get_weights()])
    return trace(model).lower()


def ordered(corners):
    """Corners by their angle around the middle, from the first of the least."""
    middle = corners.mean(axis=0)
    return corners[np.argsort(np.arctan2(*(corners - middle).T[::-1]))]


def depth(points, corners):
    """The least distance of the points to a polygon's edges, from inside."""
    edges = np.roll(corners, -1, axis=0) - corners
    edges /= np.linalg.norm(edges, axis=1, keepdims=True)
    inward = np.column_stack([-edges[:, 1], edges[:, 0]])
    return (points @ inward.T - (corners * inward).sum(axis=1)).min()


def test_a_square_by_hand():
    corners = intersection(
        directions(4), np.array([1.0, 2.0, -3.0, -5.0])
    )  # x in [1, 3], y in [2, 5]
    np.testing.assert_allclose(ordered(corners), [[1, 2], [3, 2], [3, 5], [1, 5]], atol=1e-6)
    assert area(corners) == pytest.approx(6.0, abs=1e-6)


@pytest.mark.parametrize("count", [3, 5, 16, 64])
def test_intersections_are_scipys(count):
    normals = directions(count).astype(np.float64)
    for seed in range(10):
        supports = -np.random.default_rng(seed).uniform(0.5, 1.5, count)
        half_planes = np.column_stack([-normals, supports])  # support - normal . z <= 0
        points = HalfspaceIntersection(half_planes, np.zeros(2)).intersections
        corners = intersection(normals, supports)
        assert area(corners) == pytest.approx(ConvexHull(points).volume, rel=1e-6)
        assert (corners @ normals.T >= supports - 1e-9).all()


def test_far_and_thin_polygons_are_kept_whole():
    """A box of sides 2 and .002 a thousand units away."""
    corners = intersection(directions(4), np.array([1000.0, -500.0, -1002.0, 499.998]))
    assert area(corners) == pytest.approx(0.004, rel=1e-2)


@pytest.mark.parametrize("supports", [[0.0, 0.0], [0.0, -np.inf, -1.0, -1.0]])
def test_unbounded_sets_are_refused(supports):
    with pytest.raises(ValueError, match="three or more finite supports"):
        intersection(directions(len(supports)), np.array(supports))


@pytest.mark.parametrize("method", METHODS)
def test_the_polygon_of_a_linear_network_is_the_boxes_image(method):
    """A turn by an eighth and a stretch: its edges' normals are among the directions."""
    matrix = 3.0 * np.array([[1.0, -1.0], [1.0, 1.0]])
    one = polytope(linear(matrix), region(), {method: METHODS[method]}, resolution=5, count=16)
    ends = (CENTRE - EPS, CENTRE + EPS)
    corners = np.array([[x, y] for x, y in itertools.product(*zip(*ends, strict=True))])
    image = corners @ matrix.T + [0.25, -1.0]
    assert area(one.outer[method]) == pytest.approx(ConvexHull(image).volume, rel=1e-5)
    assert one.times_larger(method) == pytest.approx(1.0, rel=1e-5)
    distances = np.linalg.norm(image[:, np.newaxis] - one.outer[method], axis=-1)
    assert distances.min(axis=1).max() < 1e-5  # each corner is one of the polygon's


@pytest.mark.parametrize("seed", [0, 1])
def test_what_is_reached_is_inside_of_all_polygons(seed):
    graph = wavy(seed)
    one = polytope(graph, region(), METHODS, resolution=60, count=24)
    points = one.reached.reshape(-1, 2).astype(np.float64)
    for method, corners in one.outer.items():
        assert depth(points, corners) >= -1e-5, method
        bound = catalogue.bound(method, METHODS[method])
        assert depth(points, outer_polygon(bound, graph, region(), 24, "sound")) >= 0.0, method
    assert one.times_larger("alpha_crown") < one.times_larger("interval")
    assert min(map(one.times_larger, METHODS)) > 1.0


def test_the_polygon_is_of_one_half_plane_a_direction():
    """The least value along each direction, the bound's own, is touched and not crossed."""
    graph, normals = wavy(), directions(12)
    supports = dual_bounds(graph, region(), tf.constant(normals[np.newaxis]))
    corners = outer_polygon(dual_bounds, graph, region(), 12)
    lowest = (corners @ normals.T.astype(np.float64)).min(axis=0)
    assert (lowest >= supports.margins.numpy()[0] - 1e-6).all()


def test_a_grid_has_the_first_pixel_first():
    grid = on_grid(lambda x: x, (2,), (np.array([0.0, 2.0]), np.array([1.0, 4.0])), 3)
    assert grid[:, 0, 0].tolist() == [0.0, 0.5, 1.0]
    assert grid[0, :, 1].tolist() == [2.0, 3.0, 4.0]
