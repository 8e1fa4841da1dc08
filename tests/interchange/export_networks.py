"""Exports the networks of `tests/interchange/networks` with the answers of onnxruntime.

By both exporters of PyTorch, and by Keras's, which writes with tf2onnx. In an environment of its
own, since the tests need none of the exporters:

    pip install torch keras tensorflow onnx onnxscript onnxruntime
    pip install --no-deps tf2onnx
    python tests/interchange/export_networks.py

Each network gets random weights, and random statistics of its normalisations. `answers.npz` has
three inputs for each, `<network>/inputs`, and the outputs of onnxruntime for them,
`<network>/outputs`.
"""

import logging
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn
from torch.nn import functional

FOLDER = Path(__file__).parent / "networks"
INPUTS = 3
GAIN = 2.0  # of weights, so that outputs depend on inputs visibly
LAYERS = keras.layers


class SqueezeExcite(nn.Module):
    """Channels times gates that are computed of their means."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.down, self.up = nn.Conv2d(channels, 2, 1), nn.Conv2d(2, channels, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = functional.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.up(functional.relu(self.down(means))))


class Residual(nn.Module):
    """A block of a residual network, halved in size, after which all places are averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.second = nn.Conv2d(6, 6, 3, padding=1)
        self.short = nn.Conv2d(3, 6, 1, stride=2)
        self.head = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.second(functional.relu(self.norm(self.first(x))))
        return self.head(functional.relu(y + self.short(x)).mean((2, 3)))


class Attention(nn.Module):
    """Attention of two heads of width 4, from one product with all weights."""

    def __init__(self) -> None:
        super().__init__()
        self.parts, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count, tokens, _ = x.shape
        parts = self.parts(x).reshape(count, tokens, 3, 2, 4).permute(2, 0, 3, 1, 4)
        query, key, value = parts.unbind(0)
        attended = functional.scaled_dot_product_attention(query, key, value)
        return self.out(attended.transpose(1, 2).reshape(count, tokens, 8))


class VisionTransformer(nn.Module):
    """One block over four patches and a class token of width 8."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, 8, 4, stride=4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.places = nn.Parameter(0.1 * torch.randn(1, 5, 8))
        self.norms = nn.ModuleList([nn.LayerNorm(8) for _ in range(3)])
        self.attention = Attention()
        self.wide, self.narrow = nn.Linear(8, 16), nn.Linear(16, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], 1) + self.places
        x = x + self.attention(self.norms[0](x))
        x = x + self.narrow(functional.gelu(self.wide(self.norms[1](x))))
        return self.head(self.norms[2](x)[:, 0])


class Branches(nn.Module):
    """Pieces of an image, cut, padded and put side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.other = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 2, 1)
        self.shuffle = nn.PixelShuffle(2)
        self.head = nn.Linear(40, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.cat([functional.relu(self.one(x)), self.other(x)[:, :1]], 1)
        first, second = self.shuffle(x)[:, :, ::2, 1:7].chunk(2, 2)
        padded = functional.pad(torch.maximum(first, 0.5 * second), (1, 1, 1, 0), mode="reflect")
        return self.head(torch.cat([padded.flatten(1), x.amax(1).flatten(1)], 1))


def functions() -> nn.ModuleList:
    """One layer of each activation."""
    return nn.ModuleList(
        [
            *(nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.ELU(0.7), nn.SELU(), nn.Softplus()),
            *(nn.Mish(), nn.LeakyReLU(0.2), nn.PReLU(4), nn.Hardswish(), nn.Hardsigmoid()),
            *(nn.Softsign(), nn.LogSigmoid(), nn.Hardtanh(-0.5, 2.0), nn.Tanh(), nn.CELU(1.3)),
        ]
    )


class Activations(nn.Module):
    """Four units of each activation."""

    def __init__(self) -> None:
        super().__init__()
        self.functions = functions()
        self.wide = nn.Linear(6, 4 * len(self.functions))
        self.head = nn.Linear(4 * len(self.functions), 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = self.wide(x).chunk(len(self.functions), 1)
        values = [function(part) for function, part in zip(self.functions, parts, strict=True)]
        return self.head(torch.cat(values, 1))


def convolutions() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(1, 4, 3, padding=2, dilation=2), nn.BatchNorm2d(4), nn.ReLU6()),
        *(nn.MaxPool2d(3, 2, 1), nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2), nn.ReLU()),
        *(nn.MaxPool2d(2, 2, ceil_mode=True), nn.Flatten(), nn.Linear(32, 3)),
    )


def mobile() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.Hardswish()),
        *(nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.BatchNorm2d(6), nn.Hardswish()),
        *(SqueezeExcite(6), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4)),
    )


def decoder() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.GroupNorm(2, 4), nn.ReLU()),
        *(nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1, output_padding=1), nn.LeakyReLU(0.1)),
        *(nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.Upsample(scale_factor=2)),
        *(nn.AvgPool2d(3, 3, ceil_mode=True), nn.Upsample(size=(2, 5), mode="bilinear")),
        *(nn.Flatten(), nn.Linear(30, 3)),
    )


def series() -> nn.Module:
    return nn.Sequential(
        *(nn.Conv1d(2, 4, 3, padding=1), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(3, 2, 1)),
        *(nn.Conv1d(4, 4, 3), nn.InstanceNorm1d(4, affine=True), nn.AvgPool1d(2)),
        *(nn.Flatten(), nn.Linear(8, 3), nn.LogSoftmax(1)),
    )


def doubles() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def gray() -> keras.Model:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            *(LAYERS.Rescaling(2.0, -1.0), LAYERS.Conv2D(4, 3, padding="same")),
            *(LAYERS.BatchNormalization(), LAYERS.ReLU(), LAYERS.MaxPooling2D()),
            LAYERS.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
            *(LAYERS.Flatten(), LAYERS.Dense(3, activation="softmax")),
        ]
    )


def separable() -> keras.Model:
    image = keras.Input((8, 8, 3))
    x = LAYERS.ReLU(6.0)(LAYERS.BatchNormalization()(LAYERS.Conv2D(6, 1, use_bias=False)(image)))
    x = LAYERS.DepthwiseConv2D(3, padding="same", activation="silu")(x)
    x = LAYERS.AveragePooling2D(3, 2, "same")(LAYERS.SeparableConv2D(4, 3)(x))
    means = LAYERS.GlobalAveragePooling2D()(x)
    gates = LAYERS.Dense(4, "sigmoid")(LAYERS.Dense(2, "relu")(means))
    x = LAYERS.Multiply()([x, LAYERS.Reshape((1, 1, 4))(gates)])
    return keras.Model(image, LAYERS.Dense(3)(LAYERS.GlobalMaxPooling2D()(x)))


def transformer() -> keras.Model:
    image = keras.Input((8, 8, 1))
    x = LAYERS.Reshape((4, 8))(LAYERS.Conv2D(8, 4, strides=4)(image))
    y = LAYERS.LayerNormalization()(x)
    x = LAYERS.Add()([x, LAYERS.MultiHeadAttention(2, 4)(y, y)])
    y = LAYERS.LayerNormalization()(x)
    y = LAYERS.Dense(8)(LAYERS.Dense(16, "silu")(y))
    x = LAYERS.GlobalAveragePooling1D()(LAYERS.Add()([x, y]))
    return keras.Model(image, LAYERS.Dense(3)(x))


def by_torch(
    make: Callable[[], nn.Module], shape: tuple[int, ...], dynamo: bool, opset: int, batch: bool
) -> Callable[[Path], None]:
    """An export by one of PyTorch's exporters. batch: whether it may be of any size."""

    def export(path: Path) -> None:
        torch.manual_seed(0)
        network = make().eval()
        kind = next(network.parameters()).dtype
        for module in network.modules():
            _randomise(module)
        example = torch.rand(2 if batch and dynamo else 1, *shape, dtype=kind)
        options: dict = {"dynamic_axes": {"x": {0: "batch"}, "y": {0: "batch"}}} if batch else {}
        if batch and dynamo:
            options = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
        torch.onnx.export(
            *(network, (example,), path),
            **{"dynamo": dynamo, "opset_version": opset, "external_data": False},
            **{"input_names": ["x"], "output_names": ["y"], **options},
        )

    return export


def _randomise(module: nn.Module) -> None:
    """Random statistics and scales of a normalisation; other weights twice as large as usual."""
    if hasattr(module, "weight") and not hasattr(module, "eps"):
        module.weight.data.mul_(GAIN)
    if isinstance(module, nn.modules.batchnorm._BatchNorm):
        module.running_mean.normal_()
        module.running_var.uniform_(0.5, 2.0)
    if isinstance(module, nn.modules.batchnorm._NormBase | nn.LayerNorm | nn.GroupNorm):
        module.weight.data.normal_()
        module.bias.data.normal_()


def by_keras(make: Callable[[], keras.Model], opset: int) -> Callable[[Path], None]:
    """An export by Keras."""

    def export(path: Path) -> None:
        keras.utils.set_random_seed(0)
        network, random = make(), np.random.default_rng(0)
        network(np.zeros((1, *network.input_shape[1:]), np.float32))
        for layer in network.layers:
            if isinstance(layer, LAYERS.BatchNormalization | LAYERS.LayerNormalization):
                layer.set_weights([random.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
            elif hasattr(layer, "kernel"):
                layer.kernel.assign(GAIN * layer.kernel)
        network.export(path, format="onnx", opset_version=opset, verbose=False)

    return export


NETWORKS: dict[str, Callable[[Path], None]] = {
    "torch_convolutions": by_torch(convolutions, (1, 11, 11), False, 11, True),
    "torch_residual": by_torch(Residual, (3, 8, 8), True, 18, True),
    "torch_mobile": by_torch(mobile, (3, 8, 8), True, 21, False),
    "torch_activations": by_torch(Activations, (6,), True, 18, True),
    "torch_activations_old": by_torch(Activations, (6,), False, 13, False),
    "torch_transformer": by_torch(VisionTransformer, (1, 8, 8), True, 25, False),
    "torch_transformer_old": by_torch(VisionTransformer, (1, 8, 8), False, 17, False),
    "torch_decoder": by_torch(decoder, (2, 8, 8), False, 16, True),
    "torch_branches": by_torch(Branches, (2, 4, 4), True, 20, False),
    "torch_series": by_torch(series, (2, 12), False, 9, True),
    "torch_doubles": by_torch(doubles, (5,), True, 18, True),
    "keras_gray": by_keras(gray, 15),
    "keras_separable": by_keras(separable, 13),
    "keras_transformer": by_keras(transformer, 18),
}


def answers(path: Path, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Random inputs [3, ...], and the outputs of onnxruntime for them."""
    session = onnxruntime.InferenceSession(path)
    (given,) = session.get_inputs()
    kind = np.float64 if given.type == "tensor(double)" else np.float32
    shape = (INPUTS, 1, *given.shape[1:])
    inputs = np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype(np.float32)
    outputs = [session.run(None, {given.name: x.astype(kind)})[0] for x in inputs]
    return inputs[:, 0], np.concatenate(outputs)


def strip(path: Path) -> None:
    """Takes notes out of a file, such as PyTorch's on where each node was called."""
    file = onnx.load(path)
    parts = [file, file.graph, *file.graph.node, *file.graph.initializer]
    for part in [*parts, *file.graph.input, *file.graph.output]:
        del part.metadata_props[:]
        part.doc_string = ""
    del file.graph.value_info[:]
    onnx.save(file, path)


def main() -> None:
    logging.disable(logging.WARNING)
    FOLDER.mkdir(exist_ok=True)
    arrays = {}
    for seed, (name, export) in enumerate(NETWORKS.items()):
        path = FOLDER / f"{name}.onnx"
        export(path)
        strip(path)
        inputs, outputs = answers(path, seed)
        arrays |= {f"{name}/inputs": inputs, f"{name}/outputs": outputs}
    np.savez_compressed(FOLDER / "answers.npz", **arrays)


if __name__ == "__main__":
    main()
