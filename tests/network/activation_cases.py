"""Every activation, the function in float64 that it stands for, and intervals of all kinds."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
from networks import mostly_slow
from scipy import special

from rt_tf.network.curves import exponentials, powers, waves
from rt_tf.network.curves.lines import SLOPES
from rt_tf.network.ops import Activation, Shared
from rt_tf.network.relaxations import (
    ABS,
    ACTIVATIONS,
    APPROXIMATE_GELU,
    COS,
    ERF,
    EXP,
    LOG,
    RECIPROCAL,
    RSQRT,
    SATURATING_EXP,
    SIN,
    SQRT,
    SQUARE,
    clip,
    clipped_relu,
    curved,
    kinked,
    leaky_relu,
    power,
)

UNIT, TINY = 2.0**-24, 2.0**-126


def piecewise(negative_slope=0.0, low=0.0, high=np.inf):
    slope = np.float64(np.float32(negative_slope))
    return lambda z: np.where(z < low, low + slope * (z - low), np.minimum(z, high))


def sigmoid(z):
    small = np.exp(-np.abs(z))
    return np.where(z >= 0.0, 1.0, small) / (1.0 + small)


def softplus(z):
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def elu(alpha):
    return lambda z: np.where(z > 0.0, z, alpha * np.expm1(np.minimum(z, 0.0)))


def celu(alpha):
    return lambda z: np.where(z > 0.0, z, alpha * np.expm1(np.minimum(z, 0.0) / alpha))


def selu(z):
    return 1.0507009873554805 * elu(1.6732632423543772)(z)


def approximate_gelu(z):
    return z * sigmoid(2.0 * 0.7978845608028654 * (z + 0.044715 * z**3))


def hard_silu(z):
    return z * np.clip(z / 6.0 + 0.5, 0.0, 1.0)


def sparse_plus(z):
    return np.where(z < 1.0, np.square(np.clip(z, -1.0, 1.0) + 1.0) / 4.0, z)


def soft_shrink(z):
    return np.sign(z) * np.maximum(np.abs(z) - 0.5, 0.0)


def tanh_shrink(z):
    """The difference z - tanh(z), as a series where it would cancel."""
    return np.where(np.abs(z) < 1e-3, z**3 / 3.0, z - np.tanh(z))


class Case(NamedTuple):
    """An activation, and the function in float64 that it stands for, between two inputs.

    bends: where it has kinks or turns. sides: the intervals lie on one side of 0.
    """

    activation: Activation
    exact: Callable
    least: float = -np.inf
    most: float = np.inf
    bends: tuple[float, ...] = ()
    sides: bool = False

    def inside(self, lower, upper):
        """Intervals, moved into the domain."""
        if self.sides:
            sign = np.where(lower + upper < 0.0, -1.0, 1.0).astype(lower.dtype)
            sign = sign if self.least < 0.0 else abs(sign)
            ends = np.sort(np.clip(np.abs([lower, upper]), self.nearest, None), axis=0)
            lower, upper = np.sort(sign * ends, axis=0)
        return np.clip(lower, self.least, self.most), np.clip(upper, self.least, self.most)

    @property
    def nearest(self):
        """The size of the inputs that are nearest to 0."""
        return np.float32(powers.SMALLEST if self.sides else 0.0)


def halves(first):
    """The turns, in a few periods, of a wave that has one at `first` pi."""
    return tuple(np.pi * (first + k) for k in range(-9, 9))


def above_zero(activation, exact):
    return Case(activation, exact, float(powers.SMALLEST), sides=True)


# Every activation and the function in float64 that it stands for.
CASES = {
    "relu": Case(ACTIVATIONS["relu"], piecewise()),
    "leaky_relu": Case(ACTIVATIONS["leaky_relu"], piecewise(0.2)),
    "steep_leaky_relu": Case(leaky_relu(0.9), piecewise(0.9)),
    "relu6": Case(ACTIVATIONS["relu6"], piecewise(high=6.0), bends=(6.0,)),
    "clipped_leaky_relu": Case(clipped_relu(1.5, 0.125), piecewise(0.125, high=1.5), bends=(1.5,)),
    "hard_tanh": Case(ACTIVATIONS["hard_tanh"], piecewise(low=-1.0, high=1.0), bends=(-1.0, 1.0)),
    "sigmoid": Case(ACTIVATIONS["sigmoid"], sigmoid),
    "tanh": Case(ACTIVATIONS["tanh"], np.tanh),
    "softplus": Case(ACTIVATIONS["softplus"], softplus),
    "elu": Case(ACTIVATIONS["elu"], elu(1.0)),
    "flat_elu": Case(curved(exponentials.elu(0.3)), elu(0.3)),
    "steep_elu": Case(curved(exponentials.elu(2.5)), elu(2.5)),
    "selu": Case(ACTIVATIONS["selu"], selu),
    "celu": Case(ACTIVATIONS["celu"], celu(1.0)),
    "wide_celu": Case(curved(exponentials.celu(2.5)), celu(2.5)),
    "softsign": Case(ACTIVATIONS["softsign"], lambda z: z / (1.0 + np.abs(z))),
    "tanh_shrink": Case(ACTIVATIONS["tanh_shrink"], tanh_shrink),
    "log_sigmoid": Case(ACTIVATIONS["log_sigmoid"], lambda z: -softplus(-z)),
    "erf": Case(ERF, special.erf),
    "silu": Case(ACTIVATIONS["silu"], lambda z: z * sigmoid(z), bends=(-1.28,)),
    "gelu": Case(ACTIVATIONS["gelu"], lambda z: z * special.ndtr(z), bends=(-0.75,)),
    "approximate_gelu": Case(APPROXIMATE_GELU, approximate_gelu, bends=(-0.75,)),
    "mish": Case(ACTIVATIONS["mish"], lambda z: z * np.tanh(softplus(z)), bends=(-1.19,)),
    "hard_silu": Case(ACTIVATIONS["hard_silu"], hard_silu, bends=(-3.0, -1.5, 3.0)),
    "hard_sigmoid": Case(
        ACTIVATIONS["hard_sigmoid"], lambda z: np.clip(z + 3.0, 0.0, 6.0) / 6.0, bends=(-3.0, 3.0)
    ),
    "sparse_sigmoid": Case(
        ACTIVATIONS["sparse_sigmoid"], lambda z: np.clip(z + 1.0, 0.0, 2.0) / 2.0, bends=(-1.0, 1.0)
    ),
    "sparse_plus": Case(ACTIVATIONS["sparse_plus"], sparse_plus),
    "soft_shrink": Case(ACTIVATIONS["soft_shrink"], soft_shrink, bends=(-0.5, 0.5)),
    "falling_leaky_relu": Case(kinked(-0.75), piecewise(-0.75)),
    "steeper_leaky_relu": Case(kinked(3.0), piecewise(3.0)),
    "falling_clipped_relu": Case(
        clipped_relu(1.5, -0.25), piecewise(-0.25, high=1.5), bends=(1.5,)
    ),
    "clip": Case(clip(-0.5, 2.0), lambda z: np.clip(z, -0.5, 2.0), bends=(-0.5, 2.0)),
    "abs": Case(ABS, np.abs),
    "exponential": Case(EXP, np.exp, most=exponentials.HIGHEST),
    "saturating_exp": Case(
        SATURATING_EXP, lambda z: np.exp(np.minimum(z, exponentials.HIGHEST)), bends=(80.0,)
    ),
    "reciprocal": Case(RECIPROCAL, lambda z: 1.0 / z, sides=True),
    "rsqrt": above_zero(RSQRT, lambda z: 1.0 / np.sqrt(z)),
    "sqrt": above_zero(SQRT, np.sqrt),
    "log": above_zero(LOG, np.log),
    "square": Case(SQUARE, np.square, -powers.LARGEST, powers.LARGEST),
    "cube": Case(power(3.0), lambda z: z**3, -(2.0**37), 2.0**37),
    "fourth_power": Case(power(4.0), lambda z: z**4, -(2.0**28), 2.0**28),
    "power_between": above_zero(power(1.5), lambda z: z**1.5)._replace(most=2.0**56),
    "root_of_power": above_zero(power(0.25), lambda z: z**0.25),
    "inverse_power": Case(power(-2.0), lambda z: z**-2.0, 2.0**-20, sides=True),
    "sin": Case(SIN, np.sin, -waves.FURTHEST, waves.FURTHEST, halves(0.5)),
    "cos": Case(COS, np.cos, -waves.FURTHEST, waves.FURTHEST, halves(0.0)),
}
PIECEWISE = [
    *("relu", "leaky_relu", "steep_leaky_relu", "relu6", "clipped_leaky_relu", "hard_tanh"),
]
SMOOTH = [name for name in CASES if name not in PIECEWISE]
RELUS = ["relu", "leaky_relu", "steep_leaky_relu"]
CURVES = [name for name in CASES if name not in RELUS]
LIMITED = [name for name, case in CASES.items() if case.activation.domain is not None]
KINDS = [*SLOPES, "optimised", "shared"]
# One of each kind: straight pieces, S-shaped, exponential, a power, a gate, a wave.
QUICK = [
    *("relu", "leaky_relu", "relu6", "hard_tanh", "falling_leaky_relu", "sigmoid", "tanh"),
    *("softplus", "elu", "selu", "reciprocal", "gelu", "hard_silu"),
]
cases = pytest.mark.parametrize("name", mostly_slow(list(CASES), QUICK))
kinds = pytest.mark.parametrize("kind", KINDS)


def slope_of(kind, share):
    return {"optimised": share, "shared": Shared(share)}.get(kind, kind)


def intervals(count=1500, seed=0):
    """Ends of random intervals: of all widths and magnitudes, some of them points."""
    rng = np.random.default_rng(seed)
    middle = rng.normal(0.0, 3.0, (4, count))
    middle[1] *= 10.0 ** rng.uniform(-35.0, 4.0, count)
    middle[2] = rng.choice([0.0, -0.0, 1.0, -1.0, 1.5, 6.0, -14.0, 88.0], count)
    width = 10.0 ** rng.uniform(-30.0, 4.0, middle.shape)
    width[3] = 10.0 ** rng.uniform(-3.0, 1.5, count)
    share = rng.random(middle.shape)
    lower = (middle - width * share).astype(np.float32).ravel()
    upper = (middle + width * (1.0 - share)).astype(np.float32).ravel()
    upper[::50] = lower[::50]
    return lower, upper


def moderate(name, count):
    """Intervals of moderate width of an activation's domain."""
    rng = np.random.default_rng(3)
    middle, width = rng.normal(0.0, 3.0, count), 10.0 ** rng.uniform(-1.5, 1.2, count)
    share = rng.random(count)
    lower, upper = middle - width * share, middle + width * (1.0 - share)
    if CASES[name].sides:
        return CASES[name].inside(np.abs(lower) + 0.1, np.abs(upper) + 0.1)
    return lower, upper
