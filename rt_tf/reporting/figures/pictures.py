"""Adversarial examples as pictures: before, after, and their difference."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from rt_tf.domain import UNIT, Domain, Given
from rt_tf.records.record_file import Row
from rt_tf.reporting.figures.style import COLOURS, INK, MUTED, styled
from rt_tf.reporting.formats import TIMES

SIGNED = LinearSegmentedColormap.from_list(
    "signed", [COLOURS["certified"], "#ffffff", COLOURS["attacked"]]
)


@styled
def adversarial_examples(
    originals: np.ndarray,
    adversarial: np.ndarray,
    examples: Sequence[Row],
    domain: Given = UNIT,
    class_name: Callable[[int], str] = str,
) -> Figure | None:
    """Original and adversarial image and their difference at full contrast, one column each.

    Images are float [k, h, w, c] in the domain, from black to white, c = 1 or 3; `examples` have
    label, prediction, distance and the name of the attack, and may have the `answer` to the image
    itself. class_name: the name of a label. None where there are none, or for inputs that are no
    images.
    """
    domain = Domain.of(domain)
    if not len(examples) or not _are_pictures(originals, domain):
        return None
    difference = np.asarray(adversarial, np.float64) - originals
    scale = max(float(np.abs(difference).max()), 1e-12)
    amplified = 0.5 + difference / (2 * scale)
    columns = len(examples)
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.02)
    figure = Figure(figsize=(1.15 * columns + 1.1, 4.6), layout=layout)
    grid = figure.subplots(3, columns, squeeze=False)
    names = ("original", "adversarial", f"difference\n{TIMES}{1 / (2 * scale):.3g}")
    low, width = float(domain.lower), domain.width
    pictures = ((originals - low) / width, (adversarial - low) / width, amplified)
    maps: tuple[str | Colormap, ...] = ("gray", "gray", SIGNED)
    for axes, images, name, colours in zip(grid, pictures, names, maps, strict=True):
        axes[0].set_ylabel(name, rotation=0, ha="right", va="center", labelpad=8, color=INK)
        for cell, image in zip(axes, images, strict=True):
            _image(cell, image, colours)
    for column, example in zip(grid.T, examples, strict=True):
        _caption(column[0], _is(example, class_name), COLOURS["certified"])
        answer = example["prediction"]
        called = "?" if answer is None else class_name(answer)
        _caption(column[1], f"called {called}", COLOURS["attacked"])
        _caption(
            column[2], f"at {example['distance']:.3g}\n{_wrapped(example['name'])}", MUTED, 7.5
        )
    return figure


def _are_pictures(inputs: np.ndarray, domain: Domain) -> bool:
    """Whether inputs can be shown: grey or coloured images between black and white."""
    has_colours = inputs.ndim == 4 and inputs.shape[-1] in (1, 3)
    return has_colours and domain.is_bounded and np.ndim(domain.lower) == np.ndim(domain.upper) == 0


def _is(example: Row, class_name: Callable[[int], str]) -> str:
    """The label, and the class that the image itself is given, if wrong."""
    answer = example.get("answer")
    answer = example["label"] if answer is None else answer
    wrong = f", called {class_name(answer)}" if answer != example["label"] else ""
    return f"is {class_name(example['label'])}{wrong}"


def _image(axes: Axes, image: np.ndarray, colours: str | Colormap) -> None:
    """One picture; `colours` is the colour map of an image of one channel."""
    shown = image[..., 0] if image.shape[-1] == 1 else image
    clipped = np.clip(shown, 0.0, 1.0)
    axes.imshow(clipped, cmap=colours, vmin=0, vmax=1, interpolation="nearest")
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _caption(axes: Axes, text: str, colour: str, size: float = 9.5) -> None:
    axes.set_title(text, loc="center", color=colour, fontsize=size, pad=4)


def _wrapped(name: str) -> str:
    """An attack's name in lines that fit above a picture."""
    return "\n".join(textwrap.wrap(name, 18))
