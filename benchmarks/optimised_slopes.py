"""Optimised slopes against auto_LiRPA's, with equal bounds of the layers and with its own.

    python -m benchmarks.optimised_slopes [--model_dir=RUN] [--batch=50] [--rounds=3] [--json=FILE]

Both get the same weights, images and steps, in one process, in turns. auto_LiRPA's alpha-CROWN
optimises the slopes of every layer's bounds, ours those of the last pass alone, over CROWN's bounds
of the layers (which are cut by intervals, too; auto_LiRPA's are not, and a little looser). So
auto_LiRPA runs twice: with the layers' bounds fixed to its CROWN's, which is like with like, and as
its users call it. `mean` and `worst` are of the least margin of each image. Needs PyTorch and
auto_LiRPA, which are no dependencies of this project.
"""

import argparse
import functools
import importlib.util
import json
import os
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

from benchmarks.bounds import CLASSES, EPS, Subject, random_subject, run_subject
from benchmarks.timing import Job, surroundings
from pipelines.console import one_line_errors
from rt_tf import catalogue
from rt_tf.bounds.result import margin_spec
from rt_tf.errors import UserError
from rt_tf.files import write_text
from rt_tf.machine import usable_cores
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

STEPS = 20
EQUAL = 1e-4  # logits of both networks, in float32


class Way(NamedTuple):
    """One way to a bound. margins: a function that computes them, [batch, classes - 1]."""

    name: str
    margins: Callable[[], np.ndarray]


def ours(subject: Subject, images: np.ndarray, labels: np.ndarray) -> list[Way]:
    """This library's ways, compiled: CROWN, and slopes optimised in both arithmetics."""

    def way(name: str, method: str, **options: Any) -> Way:
        bound = catalogue.resolve("bound", method)
        spec = margin_spec(tf.constant(labels), CLASSES)

        @tf.function(autograph=False)
        def margins(x: tf.Tensor) -> tf.Tensor:
            return bound(subject.wiring.lower(), Region(Linf(), x, EPS), spec, **options).margins

        return Way(name, lambda: margins(tf.constant(images)).numpy())

    return [
        way("CROWN, ours", "crown"),
        way("last pass, ours", "alpha_crown", steps=STEPS),
        way("last pass, ours, sound", "alpha_crown", steps=STEPS, arithmetic="sound"),
    ]


def theirs(subject: Subject, images: np.ndarray, labels: np.ndarray) -> list[Way]:
    """auto_LiRPA's ways: CROWN, the last pass alone, every layer.

    UserError where PyTorch or auto_LiRPA is not installed.
    """
    if missing := [name for name in ("torch", "auto_LiRPA") if not importlib.util.find_spec(name)]:
        raise UserError(f"expected PyTorch and auto_LiRPA; {' and '.join(missing)} not installed")
    import torch
    from auto_LiRPA import BoundedModule, BoundedTensor
    from auto_LiRPA.bound_ops import BoundRelu
    from auto_LiRPA.perturbations import PerturbationLpNorm

    torch.set_num_threads(usable_cores() or 1)
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    ends = ((x - EPS).clamp(0.0, 1.0), (x + EPS).clamp(0.0, 1.0))
    ball = PerturbationLpNorm(norm=np.inf, x_L=ends[0], x_U=ends[1])
    spec = torch.from_numpy(margin_spec(tf.constant(labels), CLASSES).numpy())
    same = in_torch(subject.model)

    def way(name: str, method: str, is_fixed: bool = False) -> Way:
        network = BoundedModule(same, x, verbose=False)
        network.set_bound_opts({"optimize_bound_args": {"iteration": STEPS}})
        query = {"x": (BoundedTensor(x, ball),), "C": spec, "bound_upper": False}

        def margins() -> np.ndarray:
            layers = None
            if is_fixed:
                network.compute_bounds(**query, method="CROWN")
                sources = [node.inputs[0] for node in network.nodes() if type(node) is BoundRelu]
                layers = {node.name: (node.lower, node.upper) for node in sources}
            bounds = network.compute_bounds(**query, method=method, interm_bounds=layers)
            return bounds[0].detach().numpy()

        return Way(name, margins)

    return [
        way("CROWN, auto_LiRPA", "CROWN"),
        way("last pass, auto_LiRPA", "CROWN-Optimized", is_fixed=True),
        way("every layer, auto_LiRPA", "CROWN-Optimized"),
    ]


def in_torch(model: keras.Model) -> Any:
    """A Keras network in PyTorch; UserError for layers other than convolutions, products, ReLUs."""
    import torch

    parts: list[Any] = []
    shape: tuple[int, ...] = ()  # [rows, columns, channels] where flattened values come from
    for layer in model.layers:
        if isinstance(layer, keras.layers.Conv2D) and layer.padding in ("same", "valid"):
            parts.append(_convolution(layer))
        elif isinstance(layer, keras.layers.Dense):
            parts.append(_dense(layer, shape))
            shape = ()
        elif isinstance(layer, keras.layers.Flatten):
            parts.append(torch.nn.Flatten())
            shape = layer.input.shape[1:]
        elif isinstance(layer, keras.layers.ReLU):
            parts.append(torch.nn.ReLU())
        elif not isinstance(layer, keras.layers.InputLayer):
            raise UserError(f"expected convolutions, products and ReLUs; received {layer.name!r}")
        if getattr(layer, "activation", None) is keras.activations.relu:
            parts.append(torch.nn.ReLU())
    network = torch.nn.Sequential(*parts)
    _compare(model, network)
    return network


def _compare(model: keras.Model, network: Any) -> None:
    """Raises UserError unless both networks give the same logits."""
    import torch

    images = np.random.default_rng(0).random((4, *model.input_shape[1:]), np.float32)
    channels_first = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    worst = np.abs(network(channels_first).detach().numpy() - model(images).numpy()).max()
    if worst > EQUAL:
        raise UserError(f"expected the same logits of both networks; they differ by {worst:.2g}")


def _convolution(layer: keras.layers.Conv2D) -> Any:
    import torch

    kernel, bias = (values.numpy() for values in (layer.kernel, layer.bias))
    rows, columns, inputs, outputs = kernel.shape
    pads = [
        max(0, size - stride) / 2 if layer.padding == "same" else 0
        for size, stride in zip((rows, columns), layer.strides, strict=True)
    ]
    if any(pad != int(pad) for pad in pads):
        raise UserError(f"expected padding that is equal on both sides; received {layer.name!r}")
    layer_in_torch = torch.nn.Conv2d(
        inputs, outputs, (rows, columns), layer.strides, tuple(map(int, pads))
    )
    _fill(layer_in_torch, kernel.transpose(3, 2, 0, 1), bias)
    return layer_in_torch


def _dense(layer: keras.layers.Dense, shape: tuple[int, ...]) -> Any:
    import torch

    kernel, bias = (values.numpy() for values in (layer.kernel, layer.bias))
    inputs, outputs = kernel.shape
    if len(shape) == 3:  # rows, columns, channels to channels, rows, columns
        kernel = kernel.reshape(*shape, outputs).transpose(2, 0, 1, 3).reshape(inputs, outputs)
    layer_in_torch = torch.nn.Linear(inputs, outputs)
    _fill(layer_in_torch, kernel.T, bias)
    return layer_in_torch


def _fill(module: Any, kernel: np.ndarray, bias: np.ndarray) -> None:
    import torch

    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(kernel.copy()))
        module.bias.copy_(torch.from_numpy(bias))
    for parameter in module.parameters():
        parameter.requires_grad_(False)


def compared(ways: Iterable[Way], rounds: int) -> list[dict[str, Any]]:
    """A row for each way: images a second, timed in turns, and figures of the least margins."""
    margins: dict[str, np.ndarray] = {}
    jobs = {way.name: Job(functools.partial(_note, margins, way)) for way in ways}
    for _ in range(rounds):
        for job in jobs.values():
            job.turn()
    least = {name: values.min(axis=1) for name, values in margins.items()}
    return [
        {
            "way": name,
            "images_per_second": len(least[name]) / job.median,
            "mean": float(least[name].mean()),
            "worst": float(least[name].min()),
            "certified": int((least[name] > 0.0).sum()),
        }
        for name, job in jobs.items()
    ]


def _note(margins: dict[str, np.ndarray], way: Way) -> None:
    margins[way.name] = way.margins()


def table(rows: list[dict[str, Any]]) -> Table:
    """The table of the ways, with speeds over that of auto_LiRPA's last pass, too."""
    shown = Table("margins", "images/s", "of their last pass", "mean", "worst", "certified")
    peer = next(row for row in rows if row["way"] == "last pass, auto_LiRPA")
    for row in rows:
        ratio = row["images_per_second"] / peer["images_per_second"]
        numbers = (f"{row['images_per_second']:.4g}", f"{ratio:.2f}")
        ends = (f"{row[name]:.4f}" for name in ("mean", "worst"))
        shown.add_row(row["way"], *numbers, *ends, str(row["certified"]))
    return shown


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model_dir", help="a run on MNIST; a random small network by default")
    parser.add_argument("--batch", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    arguments = parser.parse_args()
    with one_line_errors():
        subject = (
            run_subject(arguments.model_dir) if arguments.model_dir else random_subject("small")
        )
        images = subject.images[: arguments.batch]
        labels = subject.model(tf.constant(images)).numpy().argmax(axis=1)
        ways = [*ours(subject, images, labels), *theirs(subject, images, labels)]
        rows = compared(ways, arguments.rounds)
        Console(width=100).print(table(rows))
        if arguments.json:
            about = {"steps": STEPS, "eps": EPS, "batch": arguments.batch, **surroundings()}
            about["versions"] |= {name: version(name) for name in ("torch", "auto_LiRPA")}
            write_text(arguments.json, json.dumps({**about, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
