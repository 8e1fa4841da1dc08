"""A Keras network and examples in a file that the peer reads."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from rt_tf.errors import UserError

Layer = tuple[dict[str, Any], dict[str, np.ndarray]]


def write(path: Path, model: keras.Model, images: np.ndarray, labels: np.ndarray) -> None:
    """Writes a network and examples in PyTorch's order of axes, channels first.

    images: [batch, rows, columns, channels]. labels: [batch]. UserError for layers other than
    convolutions, paddings, products, ReLUs and one flattening.
    """
    described = layers(model)
    arrays: dict[str, Any] = {
        f"{name}{number}": np.ascontiguousarray(values)
        for number, (_, weights) in enumerate(described)
        for name, values in weights.items()
    }
    np.savez(
        path,
        layers=json.dumps([description for description, _ in described]),
        images=np.ascontiguousarray(images.transpose(0, 3, 1, 2)),
        labels=labels,
        **arrays,
    )


def layers(model: keras.Model) -> list[Layer]:
    """The descriptions of a network's layers, and their weights in PyTorch's order of axes."""
    described: list[Layer] = []
    padding, shape = 0, ()  # of the layer before: pixels; the shape that is flattened
    for layer in model.layers:
        if isinstance(layer, keras.layers.ZeroPadding2D):
            padding = layer.padding[0][0]
        elif isinstance(layer, keras.layers.Conv2D):
            described.append(_convolution(layer, padding))
            padding = 0
        elif isinstance(layer, keras.layers.Dense):
            described.append(_dense(layer, shape))
            shape = ()
        elif isinstance(layer, keras.layers.Flatten):
            described.append(({"kind": "flatten"}, {}))
            shape = layer.input.shape[1:]
        elif isinstance(layer, keras.layers.ReLU):
            described.append(({"kind": "relu"}, {}))
        elif not isinstance(layer, keras.layers.InputLayer):
            raise UserError(f"expected convolutions, products and ReLUs; received {layer.name!r}")
    return described


def _convolution(layer: keras.layers.Conv2D, padding: int) -> Layer:
    kernel, bias = (values.numpy() for values in (layer.kernel, layer.bias))
    stride = layer.strides[0]
    if layer.padding == "same":
        padding = (kernel.shape[0] - stride) // 2
    weights = {"kernel": kernel.transpose(3, 2, 0, 1), "bias": bias}
    return {"kind": "convolution", "stride": stride, "padding": padding}, weights


def _dense(layer: keras.layers.Dense, shape: tuple[int, ...]) -> Layer:
    kernel, bias = (values.numpy() for values in (layer.kernel, layer.bias))
    if shape:  # rows, columns, channels to channels, rows, columns
        parts = kernel.reshape(*shape, kernel.shape[1])
        kernel = parts.transpose(2, 0, 1, 3).reshape(kernel.shape)
    return {"kind": "dense"}, {"kernel": kernel.T, "bias": bias}
