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
from rt_tf.network.lowering import lower
from rt_tf.network.ops import Tensor
from rt_tf.network.steps import Arguments, Call, Slot, Step

L = keras.layers

Value = TypeVar("Value")
Tensors: TypeAlias = Tensor | list[Tensor]


class Bounded:
    """A Keras layer's counterparts. Layers of several inputs take lists of ends."""

    def interval(self, lower: Tensors, upper: Tensors) -> Box:
        """Bounds of the layer's output for inputs between lower and upper, each [batch, ...]."""
        boxes = [Box(*ends) for ends in zip(_listed(lower), _listed(upper), strict=True)]

        def image(step: Step, values: list[Box]) -> Box:
            box = interval.image(step.op, [values[k] for k in step.inputs]).box
            box = interval.cut_by_hull(box, step.hull, dict(enumerate(values)))
            return interval.cut_by_limits(box, step.limits, dict(enumerate(values)))

        return self._interpret(boxes, lambda box: box.lower, image)

    def symbolic(self, value: Zonotope | list[Zonotope]) -> Zonotope:
        """The layer's image of a zonotope, with a new symbol for every activation unit."""
        zonotopes = value if isinstance(value, list) else [value]

        def image(step: Step, values: list[Zonotope]) -> Zonotope:
            inputs = [values[k] for k in step.inputs]
            if step.limits is None:
                return zonotope.image(step.op, inputs)
            boxes = dict(enumerate(z.box for z in values))
            own = interval.image(step.op, [boxes[k] for k in step.inputs]).box
            own = interval.cut_by_limits(own, step.limits, boxes)
            return zonotope.image(step.op, inputs, own=own)

        return self._interpret(zonotopes, lambda z: z.centre, image)

    def _interpret(
        self,
        inputs: list[Value],
        tensor: Callable[[Value], Tensor],
        image: Callable[[Step, list[Value]], Value],
    ) -> Value:
        shapes = tuple(tuple(tensor(value).shape[1:]) for value in inputs)
        values = list(inputs)
        arguments = Arguments(tuple(map(Slot, range(len(shapes)))))
        for step in lower(self, Call(shapes, arguments=arguments)):
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


Activation = _bounded(L.Activation)
ActivityRegularization = _bounded(L.ActivityRegularization)
Add = _bounded(L.Add)
AdditiveAttention = _bounded(L.AdditiveAttention)
AlphaDropout = _bounded(L.AlphaDropout)
Attention = _bounded(L.Attention)
AugMix = _bounded(L.AugMix)
Average = _bounded(L.Average)
AveragePooling1D = _bounded(L.AveragePooling1D)
AveragePooling2D = _bounded(L.AveragePooling2D)
AveragePooling3D = _bounded(L.AveragePooling3D)
BatchNormalization = _bounded(L.BatchNormalization)
CenterCrop = _bounded(L.CenterCrop)
Concatenate = _bounded(L.Concatenate)
Conv1D = _bounded(L.Conv1D)
Conv1DTranspose = _bounded(L.Conv1DTranspose)
Conv2D = _bounded(L.Conv2D)
Conv2DTranspose = _bounded(L.Conv2DTranspose)
Conv3D = _bounded(L.Conv3D)
Conv3DTranspose = _bounded(L.Conv3DTranspose)
Cropping1D = _bounded(L.Cropping1D)
Cropping2D = _bounded(L.Cropping2D)
Cropping3D = _bounded(L.Cropping3D)
CutMix = _bounded(L.CutMix)
Dense = _bounded(L.Dense)
DepthwiseConv1D = _bounded(L.DepthwiseConv1D)
DepthwiseConv2D = _bounded(L.DepthwiseConv2D)
Dot = _bounded(L.Dot)
Dropout = _bounded(L.Dropout)
ELU = _bounded(L.ELU)
EinsumDense = _bounded(L.EinsumDense)
Flatten = _bounded(L.Flatten)
GaussianDropout = _bounded(L.GaussianDropout)
GaussianNoise = _bounded(L.GaussianNoise)
GlobalAveragePooling1D = _bounded(L.GlobalAveragePooling1D)
GlobalAveragePooling2D = _bounded(L.GlobalAveragePooling2D)
GlobalAveragePooling3D = _bounded(L.GlobalAveragePooling3D)
GlobalMaxPooling1D = _bounded(L.GlobalMaxPooling1D)
GlobalMaxPooling2D = _bounded(L.GlobalMaxPooling2D)
GlobalMaxPooling3D = _bounded(L.GlobalMaxPooling3D)
GroupNormalization = _bounded(L.GroupNormalization)
GroupedQueryAttention = _bounded(L.GroupQueryAttention)
Identity = _bounded(L.Identity)
LayerNormalization = _bounded(L.LayerNormalization)
LeakyReLU = _bounded(L.LeakyReLU)
MaxPooling1D = _bounded(L.MaxPooling1D)
MaxPooling2D = _bounded(L.MaxPooling2D)
MaxPooling3D = _bounded(L.MaxPooling3D)
Maximum = _bounded(L.Maximum)
Minimum = _bounded(L.Minimum)
MixUp = _bounded(L.MixUp)
MultiHeadAttention = _bounded(L.MultiHeadAttention)
Multiply = _bounded(L.Multiply)
Normalization = _bounded(L.Normalization)
PReLU = _bounded(L.PReLU)
Permute = _bounded(L.Permute)
RMSNormalization = _bounded(L.RMSNormalization)
RandAugment = _bounded(L.RandAugment)
RandomBrightness = _bounded(L.RandomBrightness)
RandomColorDegeneration = _bounded(L.RandomColorDegeneration)
RandomColorJitter = _bounded(L.RandomColorJitter)
RandomContrast = _bounded(L.RandomContrast)
RandomCrop = _bounded(L.RandomCrop)
RandomElasticTransform = _bounded(L.RandomElasticTransform)
RandomErasing = _bounded(L.RandomErasing)
RandomFlip = _bounded(L.RandomFlip)
RandomGaussianBlur = _bounded(L.RandomGaussianBlur)
RandomGrayscale = _bounded(L.RandomGrayscale)
RandomHue = _bounded(L.RandomHue)
RandomInvert = _bounded(L.RandomInvert)
RandomPerspective = _bounded(L.RandomPerspective)
RandomPosterization = _bounded(L.RandomPosterization)
RandomRotation = _bounded(L.RandomRotation)
RandomSaturation = _bounded(L.RandomSaturation)
RandomSharpness = _bounded(L.RandomSharpness)
RandomShear = _bounded(L.RandomShear)
RandomTranslation = _bounded(L.RandomTranslation)
RandomZoom = _bounded(L.RandomZoom)
ReLU = _bounded(L.ReLU)
RepeatVector = _bounded(L.RepeatVector)
Rescaling = _bounded(L.Rescaling)
Reshape = _bounded(L.Reshape)
Resizing = _bounded(L.Resizing)
SeparableConv1D = _bounded(L.SeparableConv1D)
SeparableConv2D = _bounded(L.SeparableConv2D)
Softmax = _bounded(L.Softmax)
Solarization = _bounded(L.Solarization)
SpatialDropout1D = _bounded(L.SpatialDropout1D)
SpatialDropout2D = _bounded(L.SpatialDropout2D)
SpatialDropout3D = _bounded(L.SpatialDropout3D)
SpectralNormalization = _bounded(L.SpectralNormalization)
Subtract = _bounded(L.Subtract)
TimeDistributed = _bounded(L.TimeDistributed)
UnitNormalization = _bounded(L.UnitNormalization)
UpSampling1D = _bounded(L.UpSampling1D)
UpSampling2D = _bounded(L.UpSampling2D)
UpSampling3D = _bounded(L.UpSampling3D)
ZeroPadding1D = _bounded(L.ZeroPadding1D)
ZeroPadding2D = _bounded(L.ZeroPadding2D)
ZeroPadding3D = _bounded(L.ZeroPadding3D)
