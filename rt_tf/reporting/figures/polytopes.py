"""The outputs that a network of two inputs and two outputs reaches from a region, and outer bounds.

Source: Wong 2020 (thesis), section 3.2.2 and figures 3.4 and 3.5.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from scipy.spatial import ConvexHull

from rt_tf import catalogue
from rt_tf.network.graph import Graph
from rt_tf.network.ops import Tensor
from rt_tf.reporting.figures.polygons import area, directions, intersection
from rt_tf.threats.region import Region

DIRECTIONS = 64
RESOLUTION = 200  # inputs tried along either side of a region


class Polytope(NamedTuple):
    """The reached outputs of a region.

    reached: logits at a grid of inputs, [n, n, 2]; outer: the polygon around them by method,
    [corners, 2].
    """

    reached: np.ndarray
    outer: dict[str, np.ndarray]

    @property
    def hull(self) -> np.ndarray:
        """The corners of the reached outputs' convex hull, counterclockwise: [corners, 2]."""
        points = self.reached.reshape(-1, 2).astype(np.float64)
        return points[ConvexHull(points).vertices]

    def times_larger(self, method: str) -> float:
        """The outer polygon's area over the hull's."""
        return area(self.outer[method]) / area(self.hull)


def polytope(
    graph: Graph,
    region: Region,
    methods: Mapping[str, Mapping[str, Any]],
    resolution: int = RESOLUTION,
    count: int = DIRECTIONS,
) -> Polytope:
    """The reached outputs and outer polygons for a region of one example.

    methods: bounds of the catalogue, with their options. resolution: inputs along either side.
    count: directions whose least value is bounded.
    """
    lower, upper = (end.numpy()[0].ravel() for end in region.box())
    reached = on_grid(graph, region.x.shape[1:], (lower, upper), resolution)
    outer = {
        name: outer_polygon(catalogue.bound(name, options), graph, region, count)
        for name, options in methods.items()
    }
    return Polytope(reached, outer)


def outer_polygon(
    bound: Callable[..., Any],
    graph: Graph,
    region: Region,
    count: int = DIRECTIONS,
    arithmetic: str = "fast",
) -> np.ndarray:
    """The points that no lower bound of a direction excludes, for one example: [corners, 2].

    arithmetic: sound bounds hold whatever rounds, and make small polygons visibly larger.
    """
    normals = directions(count)
    spec = tf.constant(normals[np.newaxis])
    supports = bound(graph, region, spec, arithmetic=arithmetic).margins.numpy()[0]
    return intersection(normals, supports.astype(np.float64))


def on_grid(
    network: Callable[[Tensor], Tensor],
    shape: Sequence[int],
    ends: tuple[np.ndarray, np.ndarray],
    resolution: int,
) -> np.ndarray:
    """The network's values at a grid of two pixels: [resolution, resolution, classes].

    shape: of an input, of two pixels; the grid's first axis is the first pixel. ends: each [2].
    """
    axes = [np.linspace(*side, resolution, dtype=np.float32) for side in zip(*ends, strict=True)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    values = network(tf.constant(points.reshape(-1, *shape))).numpy()
    return values.reshape(resolution, resolution, -1)
