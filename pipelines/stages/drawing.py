"""The pictures of `pipelines.draw`: runs on points, and random networks."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from absl import flags
from rich.table import Table

from pipelines.assembly import devices, inputs
from pipelines.output import Terminal
from pipelines.runs.directory import RunDirectory
from pipelines.runs.restoring import load_network
from rt_tf import data
from rt_tf.domain import UNIT
from rt_tf.errors import UserError
from rt_tf.exactly import radius_text
from rt_tf.files import write_bytes
from rt_tf.network.graph import Graph
from rt_tf.network.trace import trace
from rt_tf.reporting.figures.planes import Points, decision_regions, polytopes
from rt_tf.reporting.figures.polytopes import Polytope, on_grid, polytope
from rt_tf.reporting.figures.style import encode
from rt_tf.threats.linf import Linf
from rt_tf.threats.region import Region

METHODS: dict[str, dict[str, Any]] = {"interval": {}, "dual": {}, "alpha_crown": {"steps": 40}}
RADII = (0.05, 0.1, 0.25)  # thesis, figure 3.4
HIDDEN = (100, 100, 100)
DPI = 85


class Planar(NamedTuple):
    """A run on a plane: its name, its network, its test points and their radius."""

    name: str
    graph: Graph
    test: data.Split
    eps: float

    @property
    def points(self) -> Points:
        return Points(self.test.images().reshape(-1, 2), self.test.labels, self.eps)


def draw(
    by_directory: Mapping[str, flags.FlagValues], values: flags.FlagValues, screen: Terminal
) -> dict[str, Polytope]:
    """Writes the pictures of runs, by directory, and returns the polytopes by title."""
    devices.prepare_tensorflow()
    runs = [planar(directory, run_values, values) for directory, run_values in by_directory.items()]
    _check_point(runs[0], values.point)
    regions = {run.name: answers(run, values) for run in runs}
    trained = {f"{run.name}, point {values.point}": run_polytope(run, values) for run in runs}
    random = [dict(random_polytopes(eps, values)) for eps in RADII]
    pictures = {
        "regions": decision_regions(regions, runs[0].points),
        "trained": polytopes([trained]),
        "random": polytopes(random),
    }
    for name, figure in pictures.items():
        path = write_bytes(Path(values.out) / f"plane-{name}.png", encode(figure, "png", DPI))
        screen.print(f"wrote {path}")
    return trained | {title: drawn for row in random for title, drawn in row.items()}


def planar(directory: str, run_values: flags.FlagValues, values: flags.FlagValues) -> Planar:
    """A run on a plane; UserError for inputs not of two pixels, or other than two classes."""
    run_values.data_dir, run_values.download = (
        values.data_dir or run_values.data_dir,
        values.download,
    )
    dataset = inputs.load_data(run_values)
    if int(np.prod(dataset.shape)) != 2 or dataset.classes != 2 or run_values.threat != "linf":
        raise UserError(
            "model_dir: expected a linf run on data in the plane, of two pixels and two classes, "
            f"such as points; {directory} is a {run_values.threat} run on {run_values.dataset}"
        )
    if dataset.domain is not UNIT:
        raise UserError(
            f"model_dir: expected a run on points in the unit square; {directory} reads them in "
            f"{dataset.domain} (--input_range)"
        )
    network = load_network(RunDirectory(directory))
    return Planar(Path(directory).name, trace(network).lower(), dataset.test, run_values.epsilon)


def answers(run: Planar, values: flags.FlagValues) -> np.ndarray:
    """The classes on a grid of the unit square."""
    shape, ends = run.test.images([0]).shape[1:], (np.zeros(2), np.ones(2))
    return on_grid(run.graph, shape, ends, values.resolution).argmax(axis=-1)


def run_polytope(run: Planar, values: flags.FlagValues) -> Polytope:
    """The polytope of the box around a test point."""
    region = Region(Linf(), tf.constant(run.test.images([values.point])), run.eps, UNIT)
    return polytope(run.graph, region, METHODS, values.resolution, values.directions)


def random_polytopes(eps: float, values: flags.FlagValues) -> Iterable[tuple[str, Polytope]]:
    """Yields (title, polytope) of the box around the middle of the square, in random networks."""
    region = Region(Linf(), tf.constant([[0.5, 0.5]]), eps, UNIT)
    for seed in range(values.networks):
        graph = trace(random_network(seed)).lower()
        drawn = polytope(graph, region, METHODS, values.resolution, values.directions)
        yield f"random {seed}, eps {radius_text(eps)}", drawn


def random_network(seed: int) -> keras.Model:
    """2-100-100-100-2; weights N(0, 1 / sqrt(inputs)), biases N(0, 1) (thesis, section 3.2.2)."""
    layers = [keras.layers.Dense(units, "relu") for units in HIDDEN]
    network = keras.Sequential([keras.Input((2,)), *layers, keras.layers.Dense(2)])
    draw = np.random.default_rng(seed)
    for layer in network.layers:
        inputs, units = layer.kernel.shape
        kernel = draw.standard_normal((inputs, units)) / np.sqrt(inputs)
        layer.set_weights([kernel, draw.standard_normal(units)])
    return network


def table(by_title: Mapping[str, Polytope]) -> Table:
    """The range of the first logit, by a grid of inputs and by bounds, with the polygons' areas.

    larger: a polygon's area over that of the convex hull of the reached outputs.
    """
    grid = Table("network", "first logit reached")
    for name in METHODS:
        grid.add_column(f"by {name}")
        grid.add_column("larger")
    for title, drawn in by_title.items():
        cells = [_range(drawn.reached[..., 0])]
        for name in METHODS:
            cells += [_range(drawn.outer[name][:, 0]), f"{drawn.times_larger(name):,.3g} x"]
        grid.add_row(title, *cells)
    return grid


def _range(values: np.ndarray) -> str:
    return f"{values.min():.4g} .. {values.max():.4g}"


def _check_point(run: Planar, point: int) -> None:
    if point >= len(run.test):
        raise UserError(f"point: expected one of 0..{len(run.test) - 1}; received {point}")
