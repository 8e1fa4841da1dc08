"""Convex polygons as intersections of half planes."""

import math

import numpy as np


def directions(count: int) -> np.ndarray:
    """Unit vectors at equal angles around the circle, float32 [count, 2]."""
    angles = 2.0 * math.pi * np.arange(count) / count
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def intersection(normals: np.ndarray, supports: np.ndarray) -> np.ndarray:
    """The corners of {z : normals z >= supports}, counterclockwise: [corners, 2].

    normals: [count, 2], of `directions`; supports: [count]. ValueError for fewer than three
    normals, which leave the set unbounded, and for supports that are not finite.
    """
    if len(normals) < 3 or not np.isfinite(supports).all():
        raise ValueError(f"expected three or more finite supports; received {supports}")
    reach = 1.01 * float(np.abs(supports).max()) / math.cos(math.pi / len(normals)) + 1e-6
    corners = reach * np.array([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]])
    for normal, support in zip(normals.astype(np.float64), supports, strict=True):
        corners = clipped(corners, normal, float(support))
    return corners


def clipped(corners: np.ndarray, normal: np.ndarray, support: float) -> np.ndarray:
    """The part of a convex polygon where normal . z >= support: its corners, [corners, 2].

    corners: of the whole, [corners, 2]. normal: [2]. Source: Sutherland & Hodgman 1974.
    """
    heights = corners @ normal - support
    clipped_corners: list[np.ndarray] = []
    for i, (corner, height) in enumerate(zip(corners, heights, strict=True)):
        before = heights[i - 1]
        if height * before < 0.0:
            crossing = corner + height / (height - before) * (corners[i - 1] - corner)
            clipped_corners.append(crossing)
        if height >= 0.0:
            clipped_corners.append(corner)
    return np.array(clipped_corners).reshape(-1, 2)


def area(corners: np.ndarray) -> float:
    """The area of a polygon, positive if counterclockwise. corners: [corners, 2]."""
    following = np.roll(corners, -1, axis=0)
    return 0.5 * float((corners[:, 0] * following[:, 1] - corners[:, 1] * following[:, 0]).sum())
