"""The peer's process: auto_LiRPA's computations, on one thread, when it is asked for them.

    <python with torch and auto_LiRPA> -I -W ignore peer.py

A request is a line of JSON on standard input, its answer one on standard output. `versions`: of the
packages. `prepare` (file, task, method, eps): the computation on a network and examples, and the
first values it gives. `turn` (moment): the seconds of each run of it that fills so many seconds.
The process ends with its input. Nothing of this project is imported, so that an environment of its
own suffices.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from auto_LiRPA import BoundedModule, BoundedTensor, __version__
from auto_LiRPA.perturbations import PerturbationLpNorm

METHODS = {"interval": "IBP", "crown_ibp": "CROWN-IBP", "crown": "CROWN"}
# The forms of coefficients in convolutions that are tried: full CROWN is slow with matrices.
MODES = {"crown_ibp": ("patches", "matrix")}
PATCHES = ("patches",)
Run = Callable[[], Any]


class Subject(NamedTuple):
    """A network, and examples for it: images [batch, channels, rows, columns], labels [batch]."""

    network: torch.nn.Sequential
    images: torch.Tensor
    labels: torch.Tensor


def read(file: str) -> Subject:
    """The network and the examples in a file that `benchmarks.side_by_side.export` wrote."""
    with np.load(file) as arrays:
        layers = json.loads(str(arrays["layers"]))
        parts = [_part(layer, arrays, number) for number, layer in enumerate(layers)]
        images, labels = (torch.from_numpy(arrays[name]) for name in ("images", "labels"))
    return Subject(torch.nn.Sequential(*parts), images, labels.long())


def _part(layer: dict[str, Any], arrays: Any, number: int) -> torch.nn.Module:
    if layer["kind"] in ("relu", "flatten"):
        return torch.nn.ReLU() if layer["kind"] == "relu" else torch.nn.Flatten()
    kernel, bias = (torch.from_numpy(arrays[f"{name}{number}"]) for name in ("kernel", "bias"))
    part: Any
    if layer["kind"] == "dense":
        part = torch.nn.Linear(kernel.shape[1], kernel.shape[0])
    else:
        sizes = kernel.shape[1], kernel.shape[0], tuple(kernel.shape[2:])
        part = torch.nn.Conv2d(*sizes, stride=layer["stride"], padding=layer["padding"])
    part.load_state_dict({"weight": kernel, "bias": bias})
    return part


def spec(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """The rows f_y - f_j for every j other than y: [batch, classes - 1, classes]."""
    unit = torch.eye(classes)
    others = torch.arange(classes - 1).expand(len(labels), -1)
    return unit[labels][:, None] - unit[others + (others >= labels[:, None]).long()]


class Bound:
    """Lower bounds of the margins on a subject: [batch, classes - 1]."""

    def __init__(self, subject: Subject, method: str, eps: float, mode: str = PATCHES[0]) -> None:
        self.subject, self.eps, self.method = subject, eps, METHODS[method]
        self.classes = subject.network[-1].out_features
        self.module = BoundedModule(
            subject.network, subject.images, bound_opts={"conv_mode": mode}, verbose=False
        )

    def __call__(self) -> torch.Tensor:
        images = self.subject.images
        ends = {
            "x_L": (images - self.eps).clamp(min=0.0),
            "x_U": (images + self.eps).clamp(max=1.0),
        }
        ball = BoundedTensor(images, PerturbationLpNorm(norm=np.inf, **ends))
        rows = spec(self.subject.labels, self.classes)
        query = {"x": (ball,), "C": rows, "bound_upper": False}
        return self.module.compute_bounds(**query, method=self.method)[0]


def certification(bound: Bound) -> Run:
    """A function that computes margins without gradients."""

    def run() -> np.ndarray:
        with torch.no_grad():
            return bound().numpy()

    return run


def training(subject: Subject, bound: Bound | None, rate: float) -> Run:
    """A training step: forward, gradients, Adam. bound: None for the loss of the images alone."""
    module = subject.network if bound is None else bound.module
    adam = torch.optim.Adam(module.parameters(), lr=rate, eps=1e-7, fused=True)
    loss = torch.nn.CrossEntropyLoss()

    def run() -> float:
        adam.zero_grad(set_to_none=True)
        if bound is None:
            value = loss(subject.network(subject.images), subject.labels)
        else:
            worst = torch.nn.functional.pad(-bound(), (1, 0))
            value = loss(worst, torch.zeros_like(subject.labels))
        value.backward()
        adam.step()
        return value.item()

    return run


def seconds(run: Run) -> float:
    """The seconds of one call."""
    began = time.perf_counter()
    run()
    return time.perf_counter() - began


def quickest(run: Run) -> float:
    """The seconds of the quicker one of two calls."""
    return min(seconds(run) for _ in range(2))


def runs(file: str, task: str, method: str, eps: float, rate: float) -> dict[str, Run]:
    """The computation that is asked for, in each form of coefficients that is tried."""
    forms: dict[str, Run] = {}
    for mode in MODES.get(method, PATCHES):
        subject = read(file)
        bound = None if method == "natural" else Bound(subject, method, eps, mode)
        if task == "training":
            forms[mode] = training(subject, bound, rate)
        elif bound is not None:
            forms[mode] = certification(bound)
    return forms


class Answers:
    """The answers to requests; the computation prepared last is the one that is timed."""

    def __init__(self) -> None:
        self.run: Run = dict

    def versions(self) -> dict[str, Any]:
        """The versions of the packages."""
        return {"versions": {"torch": torch.__version__, "auto_LiRPA": __version__}}

    def prepare(self, first: int, **asked: Any) -> dict[str, Any]:
        """The first values of a computation, whose quicker form is kept. first: their number."""
        self.run = dict
        forms = runs(**asked)
        values = {
            mode: [np.asarray(run()).tolist() for _ in range(first)] for mode, run in forms.items()
        }
        mode = min(forms, key=lambda mode: quickest(forms[mode])) if len(forms) > 1 else PATCHES[0]
        self.run = forms[mode]
        return {"values": values[mode], "mode": mode}

    def turn(self, moment: float) -> dict[str, Any]:
        """The seconds of one run at least, and of as many as fill `moment` seconds."""
        times = [seconds(self.run)]
        while sum(times) < moment:
            times.append(seconds(self.run))
        return {"seconds": times}


def main() -> None:
    """The entry point. The packages may print: all but answers goes to standard error."""
    answers, output = Answers(), os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    offered: dict[str, Callable[..., dict[str, Any]]]
    offered = {"versions": answers.versions, "prepare": answers.prepare, "turn": answers.turn}
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(offered[request.pop("ask")](**request)), file=output)


if __name__ == "__main__":
    main()
