"""The promises of each bound method beyond being a bound; the tests' tables are read from here.

A method of the catalogue without a row is tested as a bound (against exact minima, brute force and
rational arithmetic) and no further. A row whose method the catalogue lacks is skipped, saying so.
"""

import functools
from collections.abc import Callable

import pytest

from rt_tf import catalogue

# One backward pass through the whole network over the boxes returned: no better than the triangles.
LINEAR = "linear"
# The lower slopes of that pass.
PARALLEL, ADAPTIVE, OPTIMISED = "parallel", "adaptive", "optimised"
# The bounds of what a ReLU reads are by the same pass, cut with intervals; or by intervals alone.
FULL, INTERVAL_BOXES = "full", "interval boxes"

PROMISES = {
    "interval": {INTERVAL_BOXES},
    "crown_ibp": {LINEAR, ADAPTIVE, INTERVAL_BOXES},
    "fast_lin_ibp": {LINEAR, PARALLEL, INTERVAL_BOXES},
    "zonotope": {LINEAR, PARALLEL, FULL},
    "dual": {LINEAR, PARALLEL, FULL},
    "crown": {LINEAR, ADAPTIVE, FULL},
    "alpha_crown": {LINEAR, OPTIMISED},
    "shared_slope": {LINEAR},
    "probable": {LINEAR, PARALLEL},
}
ESTIMATES = {"cauchy"}  # not bounds
OPTIONS = {"alpha_crown": {"steps": 2}, "shared_slope": {"steps": 2}}  # sound at every step

every = pytest.mark.parametrize("method", [n for n in catalogue.BOUNDS if n not in ESTIMATES])


def promising(*promises: str) -> pytest.MarkDecorator:
    """Parametrizes `method` over the rows with all of the promises."""
    rows = [name for name, row in PROMISES.items() if row.issuperset(promises)]
    return pytest.mark.parametrize("method", [_existing(name) for name in rows])


def _existing(name: str):
    missing = pytest.mark.skipif(name not in catalogue.BOUNDS, reason=f"no bound '{name}' yet")
    return pytest.param(name, marks=missing)


def resolve(method: str, **options) -> Callable:
    """The method, with few steps where it optimises, unless options say otherwise."""
    options = OPTIONS.get(method, {}) | options
    return functools.partial(catalogue.resolve("bound", method), **options)
