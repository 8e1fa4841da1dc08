"""Initial kernels of layers."""

import math
from typing import Any

import keras

INITIALIZERS = ("keras", "shi")


@keras.saving.register_keras_serializable("rt_tf")
class ShiNormal(keras.initializers.RandomNormal):
    """Kernels under which interval width neither grows nor dies (Shi et al. 2021, section 3).

    Normal, with standard deviation sqrt(2 pi) / fan_in.
    """

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(seed=seed)

    def __call__(self, shape: tuple[int, ...], dtype: str | None = None) -> Any:
        return keras.random.normal(shape, stddev=_deviation(shape), dtype=dtype, seed=self.seed)

    def of_shape(self, shape: tuple[int, ...]) -> keras.initializers.RandomNormal:
        """Keras's own initializer that draws kernels of this shape alike."""
        seed = super().get_config()["seed"]
        return keras.initializers.RandomNormal(stddev=_deviation(shape), seed=seed)

    def get_config(self) -> dict[str, Any]:
        return {"seed": super().get_config()["seed"]}


def _deviation(shape: tuple[int, ...]) -> float:
    return math.sqrt(2 * math.pi) / math.prod(shape[:-1])


def initializer(name: str) -> keras.initializers.Initializer:
    """A new initializer for a layer: one of a fixed seed draws the same values each time."""
    return ShiNormal() if name == "shi" else keras.initializers.GlorotUniform()
