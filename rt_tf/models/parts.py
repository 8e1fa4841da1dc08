"""Parts of architectures: their options, layers and normalisation."""

import dataclasses
from collections.abc import Sequence
from typing import TypedDict

import keras

from rt_tf import layers
from rt_tf.errors import UserError
from rt_tf.models.initializers import initializer

Shape = tuple[int, ...]
Normalization = tuple[Sequence[float], Sequence[float]]  # mean and deviation of each channel


class Options(TypedDict, total=False):
    """The options of architectures; see `build`."""

    normalization: Normalization | None
    batch_norm: bool
    init: str
    scale: float


@dataclasses.dataclass(frozen=True)
class Parts:
    """Layers of one initialisation, with or without batch normalisation after weights.

    scale: of the number of filters and units of every layer but the last.
    """

    normalization: Normalization | None = None
    batch_norm: bool = False
    init: str = "keras"
    scale: float = 1.0

    def width(self, units: int) -> int:
        """The number of filters or units at this scale: the nearest whole number, at least 1."""
        return max(1, round(self.scale * units))

    def image(self, shape: Shape) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """The input, and the tensor that the first layer with weights reads."""
        image = keras.Input(shape, name="image")
        return image, image if self.normalization is None else normalize(image, self.normalization)

    def conv(
        self,
        x: keras.KerasTensor,
        filters: int,
        kernel: int,
        stride: int = 1,
        name: str | None = None,
        bias: bool = True,
    ) -> keras.KerasTensor:
        """A convolution whose padding is equal on all sides, so that `stride` divides the size."""
        padding = "same"
        if (kernel - stride) % 2:  # Keras's own padding would be lopsided
            x = layers.ZeroPadding2D((kernel - 1) // 2)(x)
            padding = "valid"
        convolution = layers.Conv2D(
            self.width(filters),
            kernel,
            strides=stride,
            padding=padding,
            use_bias=bias,
            kernel_initializer=initializer(self.init),
            name=name,
        )
        return convolution(x)

    def dense(self, x: keras.KerasTensor, units: int, name: str) -> keras.KerasTensor:
        """A dense layer, on flattened values."""
        return self._dense(x, self.width(units), name)

    def _dense(self, x: keras.KerasTensor, units: int, name: str) -> keras.KerasTensor:
        if len(x.shape) > 2:
            x = layers.Flatten(name="flatten")(x)
        return layers.Dense(units, kernel_initializer=initializer(self.init), name=name)(x)

    def active(self, x: keras.KerasTensor, number: int | None = None) -> keras.KerasTensor:
        """The activation of a layer with weights, after batch normalisation if that is set."""
        names = ("", "") if number is None else (f"norm{number}", f"relu{number}")
        if self.batch_norm:
            x = layers.BatchNormalization(name=names[0] or None)(x)
        return layers.ReLU(name=names[1] or None)(x)

    def model(
        self, name: str, image: keras.KerasTensor, x: keras.KerasTensor, classes: int
    ) -> keras.Model:
        """The model, with logits at its end."""
        return keras.Model(image, self._dense(x, classes, "logits"), name=name)


def normalize(image: keras.KerasTensor, normalization: Normalization) -> keras.KerasTensor:
    """Pixels less their channel's mean, over its deviation.

    UserError unless there is a mean and a positive deviation for each channel.
    """
    mean, deviation = ([float(value) for value in values] for values in normalization)
    channels = image.shape[-1]
    if not len(mean) == len(deviation) == channels or min(deviation) <= 0:
        raise UserError(
            f"normalization: expected a mean and a positive deviation for each of {channels} "
            f"channels; received {mean} and {deviation}"
        )
    variance = [value**2 for value in deviation]
    return layers.Normalization(mean=mean, variance=variance, name="normalization")(image)


def check_shape(name: str, input_shape: Shape, factor: int) -> None:
    """Raises UserError for images whose sides `factor` does not divide.

    Strides and pools that do not divide a side would pad it on one end only.
    """
    if len(input_shape) != 3 or any(not size or size % factor for size in input_shape[:2]):
        raise UserError(
            f"model '{name}': expected images of (height, width, channels), height and width "
            f"multiples of {factor}; received {tuple(input_shape)}"
        )
