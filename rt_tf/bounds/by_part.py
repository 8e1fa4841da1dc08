"""Bounds over a union of threats: part by part, since each of them is tighter by itself."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from rt_tf.bounds.margin_rows import Rows
from rt_tf.bounds.result import Bounds, Box
from rt_tf.errors import UserError
from rt_tf.network.graph import Graph
from rt_tf.threats.region import Region
from rt_tf.threats.union import Union

Method = Callable[..., Bounds]


def by_part(method: Method) -> Method:
    """A bound method whose bounds over a union are the worst of `method`'s over its parts.

    UserError for a threat that has no support function.
    """

    @functools.wraps(method)
    def bounds(graph: Graph, region: Region, spec: Rows, *args: Any, **options: Any) -> Bounds:
        if not region.threat.has_support:
            raise UserError(
                "threat: expected one with a support function for a bound; "
                f"received {region.threat.name}"
            )
        if not isinstance(region.threat, Union):
            return method(graph, region, spec, *args, **options)
        parts = region.threat.regions(region)
        return worst([method(graph, part, spec, *args, **options) for part in parts])

    return bounds


def worst(parts: Sequence[Bounds]) -> Bounds:
    """The bounds that hold over all parts: least margins, and boxes around their boxes."""
    margins = functools.reduce(tf.minimum, [part.margins for part in parts])
    boxes = {i: _hull([part.boxes[i] for part in parts]) for i in parts[0].boxes}
    magnitudes = {
        i: functools.reduce(tf.maximum, [part.magnitudes[i] for part in parts])
        for i in parts[0].magnitudes
    }
    losses = [part.loss for part in parts if part.loss is not None]
    loss = functools.reduce(tf.maximum, losses) if losses else None
    return Bounds(margins, boxes, magnitudes, loss)


def _hull(boxes: Sequence[Box]) -> Box:
    lower = functools.reduce(tf.minimum, [box.lower for box in boxes])
    return Box(lower, functools.reduce(tf.maximum, [box.upper for box in boxes]))
