"""Keras layers that carry their interval and symbolic counterparts.

Thin subclasses of the stock layers: `layer.interval` and `layer.symbolic` come from the layer's
lowering, at inference. Stock Keras layers have the same bounds in a network; these classes only add
the two methods.
"""

from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

import keras

from rt_tf.bounds import interval, zonotope
from rt_tf.bounds.result import Box
from rt_tf.bounds.zonotope import Zonotope
from rt_tf.network.graph import Hull
from rt_tf.network.lowering import lower
from rt_tf.network.ops import Tensor
from rt_tf.network.steps import Call, Step

Value = TypeVar("Value")
Tensors: TypeAlias = Tensor | list[Tensor]


class Bounded:
    """A Keras layer's counterparts. Layers of several inputs take lists of ends."""

    def interval(self, lower: Tensors, upper: Tensors) -> Box:
        """Bounds of the layer's output for inputs between lower and upper, each [batch, ...]."""
        boxes = [Box(*ends) for ends in zip(_listed(lower), _listed(upper), strict=True)]

        def image(step: Step, values: list[Box]) -> Box:
            box = interval.image(step.op, [values[k] for k in step.inputs]).box
            hull = None if step.hull is None else Hull(step.hull, source=0)
            return interval.cut_by_hull(box, hull, dict(enumerate(values)))

        return self._interpret(boxes, lambda box: box.lower, image)

    def symbolic(self, value: Zonotope | list[Zonotope]) -> Zonotope:
        """The layer's image of a zonotope, with a new symbol for every activation unit."""
        zonotopes = value if isinstance(value, list) else [value]

        def image(step: Step, values: list[Zonotope]) -> Zonotope:
            return zonotope.image(step.op, [values[k] for k in step.inputs])

        return self._interpret(zonotopes, lambda z: z.centre, image)

    def _interpret(
        self,
        inputs: list[Value],
        tensor: Callable[[Value], Tensor],
        image: Callable[[Step, list[Value]], Value],
    ) -> Value:
        shapes = tuple(tuple(tensor(value).shape[1:]) for value in inputs)
        values = list(inputs)
        for step in lower(self, Call(shapes)):
            values.append(image(step, values))
        return values[-1]


def stock_class(layer: keras.layers.Layer) -> type[keras.layers.Layer]:
    """The layer's class; for a layer of this file, the class of Keras that it adds bounds to."""
    kind = type(layer)
    return kind.__bases__[1] if kind.__module__ == __name__ else kind


def _listed(value: Tensors) -> list[Tensor]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _bounded(stock: type[keras.layers.Layer]) -> Any:
    """A subclass of a stock layer with its counterparts, saved and loaded under its own name."""
    about = f"`keras.layers.{stock.__name__}` with its interval and symbolic counterparts."
    layer = type(stock.__name__, (Bounded, stock), {"__doc__": about, "__module__": __name__})
    return keras.saving.register_keras_serializable("rt_tf")(layer)


Activation = _bounded(keras.layers.Activation)
Add = _bounded(keras.layers.Add)
AveragePooling2D = _bounded(keras.layers.AveragePooling2D)
BatchNormalization = _bounded(keras.layers.BatchNormalization)
Concatenate = _bounded(keras.layers.Concatenate)
Conv2D = _bounded(keras.layers.Conv2D)
Dense = _bounded(keras.layers.Dense)
DepthwiseConv2D = _bounded(keras.layers.DepthwiseConv2D)
Dropout = _bounded(keras.layers.Dropout)
ELU = _bounded(keras.layers.ELU)
Flatten = _bounded(keras.layers.Flatten)
GlobalAveragePooling2D = _bounded(keras.layers.GlobalAveragePooling2D)
GlobalMaxPooling2D = _bounded(keras.layers.GlobalMaxPooling2D)
LeakyReLU = _bounded(keras.layers.LeakyReLU)
MaxPooling2D = _bounded(keras.layers.MaxPooling2D)
Normalization = _bounded(keras.layers.Normalization)
ReLU = _bounded(keras.layers.ReLU)
Rescaling = _bounded(keras.layers.Rescaling)
Reshape = _bounded(keras.layers.Reshape)
ZeroPadding2D = _bounded(keras.layers.ZeroPadding2D)
