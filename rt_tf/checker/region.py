"""The inputs that a certificate is about: a norm ball around an image, within a domain."""

import dataclasses

import numpy as np

from rt_tf.checker import rounding

THREATS = ("linf", "l2", "l1")


@dataclasses.dataclass(frozen=True)
class Region:
    """A ball of radius eps around x. lower, upper: ends that hold it. All are float64 [pixels]."""

    threat: str
    x: np.ndarray
    eps: float
    lower: np.ndarray
    upper: np.ndarray

    @property
    def size(self) -> np.ndarray:
        """Upper bounds of the absolute values of pixels: [pixels]."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper))

    def minimum(self, coefficients: np.ndarray) -> np.ndarray:
        """A lower bound of <coefficients, z> over the region: [rows, pixels] -> [rows]."""
        least = box_minimum(coefficients, self.lower, self.upper)
        if self.threat == "linf":
            return least
        return np.maximum(least, self._in_ball(coefficients))

    def _in_ball(self, coefficients: np.ndarray) -> np.ndarray:
        """The minimum over the ball: v . x - eps |v| in the dual norm."""
        sizes, error = np.abs(coefficients), rounding.own(len(self.x))
        euclidean = self.threat == "l2"
        norm = np.sqrt((sizes * sizes).sum(axis=1)) if euclidean else sizes.max(axis=1)
        reach = self.eps * norm * (1.0 + error) + rounding.TINY
        return coefficients @ self.x - reach - error * (sizes @ np.abs(self.x) + reach)


def region(
    threat: str,
    image: np.ndarray,
    eps: float,
    domain: tuple[np.ndarray, np.ndarray],
    scale: np.ndarray | float = 1.0,
) -> Region:
    """The region around an image [...] of any shape, its ends rounded outward.

    domain: the least and the greatest inputs, numbers or of the image's shape. scale: the share
    of eps by which each input may move, of Linf alone; a number or of the image's shape.
    """
    x = image.astype(np.float64).ravel()
    lowest, highest = (np.ravel(end) for end in domain)
    reach = np.nextafter(eps * np.ravel(scale), np.inf)
    return Region(
        threat,
        x,
        eps,
        lower=np.minimum(x, np.maximum(np.nextafter(x - reach, -np.inf), lowest)),
        upper=np.maximum(x, np.minimum(np.nextafter(x + reach, np.inf), highest)),
    )


def box_minimum(coefficients: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """A lower bound of <coefficients, z> for lower <= z <= upper: [rows, n] -> [rows]."""
    centre, radius = 0.5 * (lower + upper), 0.5 * (upper - lower)
    sizes = np.abs(coefficients)
    error = rounding.own(len(lower)) * np.maximum(np.abs(lower), np.abs(upper))
    return coefficients @ centre - sizes @ (radius + error)
