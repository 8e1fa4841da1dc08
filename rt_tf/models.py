"""Architectures by name: functional Keras models from pixels in [0, 1] to logits.

A new architecture is a function `(input_shape, classes, **options) -> keras.Model` here and a row
in the catalogue.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypedDict, Unpack

import keras

from rt_tf import catalogue, layers
from rt_tf.errors import UserError

Shape = tuple[int, ...]
Normalization = tuple[Sequence[float], Sequence[float]]  # mean and deviation of each channel
INITIALIZERS = ("keras", "shi")
ACTIVATIONS = (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)


class Options(TypedDict, total=False):
    """What every architecture can be built with; see `build`."""

    normalization: Normalization | None
    batch_norm: bool
    init: str


class Conv(NamedTuple):
    """A convolution with a ReLU; 4x4 with stride 2 pads one pixel on every side."""

    filters: int
    kernel: int
    stride: int = 1


class Pool(NamedTuple):
    """A maximum over squares of size x size pixels."""

    size: int


class Fc(NamedTuple):
    """A dense layer with a ReLU."""

    units: int


Block = Conv | Pool | Fc


def build(
    name: str,
    input_shape: Shape,
    classes: int,
    normalization: Normalization | None = None,
    batch_norm: bool = False,
    init: str = "keras",
) -> keras.Model:
    """Builds an architecture of the catalogue; its output are logits, [batch, classes].

    input_shape: (h, w, c). normalization: mean and standard deviation of each channel, applied by
    the network's first layer. batch_norm: after each layer with weights but the last.
    init: 'keras' (each layer's default) or 'shi' (ShiNormal).
    UserError: unknown name, or an architecture that does not fit the image shape.
    """
    constructor = catalogue.resolve("model", name)
    return constructor(
        tuple(input_shape), classes, normalization=normalization, batch_norm=batch_norm, init=init
    )


def wong_small(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """Wong & Kolter's small network: 4,804 hidden units on MNIST."""
    blocks = (Conv(16, 4, 2), Conv(32, 4, 2), Fc(100))
    return _network("wong_small", blocks, input_shape, classes, **options)


def wong_large(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """Wong & Kolter's large network: 1,974,762 parameters, 48,064 hidden units on MNIST."""
    blocks = (Conv(32, 3), Conv(32, 4, 2), Conv(64, 3), Conv(64, 4, 2), Fc(512), Fc(512))
    return _network("wong_large", blocks, input_shape, classes, **options)


def mixtrain_fc1(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """MixTrain's FC1: two dense layers of 512 units."""
    return _network("mixtrain_fc1", (Fc(512),) * 2, input_shape, classes, **options)


def mixtrain_fc2(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """MixTrain's FC2: five dense layers of 2,048 units."""
    return _network("mixtrain_fc2", (Fc(2048),) * 5, input_shape, classes, **options)


def madry_cnn(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """Madry et al.'s network for MNIST."""
    blocks = (Conv(32, 5), Pool(2), Conv(64, 5), Pool(2), Fc(1024))
    return _network("madry_cnn", blocks, input_shape, classes, **options)


def digits_cnn(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """A small network for 8x8 images: 1,636 hidden units."""
    blocks = (Conv(16, 3), Conv(32, 4, 2), Fc(100))
    return _network("digits_cnn", blocks, input_shape, classes, **options)


def digits_fc(input_shape: Shape, classes: int, **options: Unpack[Options]) -> keras.Model:
    """Two dense layers of 100 units."""
    return _network("digits_fc", (Fc(100),) * 2, input_shape, classes, **options)


def hidden_units(model: keras.Model) -> int:
    """How many activations a model, with the models inside it, computes for one input."""
    inner = sum(hidden_units(layer) for layer in model.layers if isinstance(layer, keras.Model))
    own = [layer.output.shape[1:] for layer in model.layers if _activates(layer)]
    return inner + sum(map(math.prod, own))


@keras.saving.register_keras_serializable("rt_tf")
class ShiNormal(keras.initializers.RandomNormal):
    """Kernels under which interval width neither grows nor dies (Shi et al. 2021, section 3).

    Normal, with standard deviation sqrt(2 pi) / fan_in.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed=seed)

    def __call__(self, shape: Shape, dtype: str | None = None) -> Any:
        deviation = math.sqrt(2 * math.pi) / math.prod(shape[:-1])
        return keras.random.normal(shape, stddev=deviation, dtype=dtype, seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": super().get_config()["seed"]}


def _network(
    name: str,
    blocks: Sequence[Block],
    input_shape: Shape,
    classes: int,
    normalization: Normalization | None = None,
    batch_norm: bool = False,
    init: str = "keras",
) -> keras.Model:
    """Blocks numbered from 1, flattened before the first dense layer, logits at the end."""
    _check(name, blocks, input_shape, init)
    image = keras.Input(input_shape, name="image")
    x = image if normalization is None else _normalize(image, normalization)
    for number, block in enumerate(blocks, start=1):
        if isinstance(block, Pool):
            x = layers.MaxPooling2D(block.size, name=f"pool{number}")(x)
            continue
        if isinstance(block, Fc) and len(x.shape) > 2:
            x = layers.Flatten(name="flatten")(x)
        x = _weighted(block, number, init)(x)
        if batch_norm:
            x = layers.BatchNormalization(name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    logits = layers.Dense(classes, kernel_initializer=_initializer(init), name="logits")(x)
    return keras.Model(image, logits, name=name)


def _weighted(block: Conv | Fc, number: int, init: str) -> keras.layers.Layer:
    initializer = _initializer(init)
    if isinstance(block, Fc):
        return layers.Dense(block.units, kernel_initializer=initializer, name=f"fc{number}")
    return layers.Conv2D(
        block.filters,
        block.kernel,
        strides=block.stride,
        padding="same",
        kernel_initializer=initializer,
        name=f"conv{number}",
    )


def _initializer(init: str) -> keras.initializers.Initializer:
    """A new one for every layer: an initializer of one seed draws the same values each time."""
    return ShiNormal() if init == "shi" else keras.initializers.GlorotUniform()


def _normalize(image: keras.KerasTensor, normalization: Normalization) -> keras.KerasTensor:
    mean, deviation = ([float(value) for value in values] for values in normalization)
    channels = image.shape[-1]
    if not len(mean) == len(deviation) == channels or min(deviation) <= 0:
        raise UserError(
            f"normalization: expected a mean and a positive deviation for each of {channels} "
            f"channels; received {mean} and {deviation}"
        )
    variance = [value**2 for value in deviation]
    return layers.Normalization(mean=mean, variance=variance, name="normalization")(image)


def _check(name: str, blocks: Sequence[Block], input_shape: Shape, init: str) -> None:
    """Refuses images that strides and pools do not divide: their padding would be lopsided."""
    if init not in INITIALIZERS:
        raise UserError(f"init: expected one of {', '.join(INITIALIZERS)}; received '{init}'")
    factor = math.prod(_shrinkage(block) for block in blocks)
    if len(input_shape) != 3 or any(not size or size % factor for size in input_shape[:2]):
        raise UserError(
            f"model '{name}': expected images of (height, width, channels), height and width "
            f"multiples of {factor}; received {tuple(input_shape)}"
        )


def _shrinkage(block: Block) -> int:
    if isinstance(block, Conv):
        return block.stride
    return block.size if isinstance(block, Pool) else 1


def _activates(layer: keras.layers.Layer) -> bool:
    if isinstance(layer, ACTIVATIONS):
        return True
    activation = getattr(layer, "activation", None)
    return activation is not None and keras.activations.serialize(activation) != "linear"
