"""The report of a run as files: report.json (schema in `summary`) and one HTML page."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import jinja2
import numpy as np
from matplotlib.figure import Figure

from rt_tf.files import write_text
from rt_tf.reporting import plots
from rt_tf.reporting.consistency import Inconsistent, Row, require
from rt_tf.reporting.summary import by_threat, main_question, summarise
from rt_tf.reporting.text import (
    duration,
    interval,
    model_card,
    percent,
    summary_text,
    terminal_table,
)

__all__ = ["model_card", "page", "summary_text", "terminal_table", "write_report"]

Originals = Callable[[Sequence[int]], np.ndarray]
TEMPLATE = "report.html.jinja"


def write_report(run_dir: str | Path, originals: Originals | None = None) -> Row:
    """Write report/report.json and report/report.html of a run, and return the report.

    `originals(indices)` gives the images float32 [k, h, w, c] in [0, 1] of the test split; with it
    the page shows counterexamples, each measured again. Raises Inconsistent, and writes nothing,
    if records contradict each other or any example breaks clean >= attacked >= certified.
    """
    run_dir = Path(run_dir)
    report = summarise(run_dir)
    images = _images(run_dir, report, originals) if originals else None
    text = json.dumps(report, allow_nan=False, indent=1)
    html = page(report, images)
    write_text(run_dir / "report" / "report.html", html)
    write_text(run_dir / "report" / "report.json", text + "\n")
    return report


def page(report: Row, images: tuple[np.ndarray, np.ndarray] | None = None) -> str:
    """The self-contained HTML page; `images` are the originals and their counterexamples."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "interval": interval, "duration": duration}
    return environment.get_template(TEMPLATE).render(
        report=report,
        main=main_question(report),
        threats=by_threat(report),
        figures=_figures(report, images),
        colours=plots.COLOURS,
    )


def _figures(report: Row, images: tuple[np.ndarray, np.ndarray] | None) -> dict[str, str]:
    main = main_question(report)
    vector = {
        "training": plots.training_curves(report["training"]["history"]),
        "margins": plots.margin_histogram(main["margins"]),
        "classes": plots.class_bars(main["classes"]),
    }
    for threat, questions in by_threat(report).items():
        eps = main["epsilon"] if threat == main["threat"] else None
        vector[f"eps-{threat}"] = plots.accuracy_by_eps(questions, eps)
    found = {name: _svg(figure) for name, figure in vector.items() if figure}
    shown = images and plots.adversarial_examples(*images, main["examples"])
    return found | ({"examples": _png(shown)} if shown else {})


def _svg(figure: Figure) -> str:
    data = base64.b64encode(plots.encode(figure, "svg")).decode()
    return f"data:image/svg+xml;base64,{data}"


def _png(figure: Figure) -> str:
    """Pictures of pixels: as SVG, browsers would smooth them."""
    data = base64.b64encode(plots.encode(figure, "png", dpi=192)).decode()
    return f"data:image/png;base64,{data}"


def _images(
    run_dir: Path, report: Row, originals: Originals
) -> tuple[np.ndarray, np.ndarray] | None:
    """The shown examples before and after; their distances are measured into the report."""
    question = main_question(report)
    examples = question["examples"]
    if not examples:
        return None
    before = np.asarray(originals([example["index"] for example in examples]))
    after = np.stack([_stored(run_dir / example["file"]) for example in examples])
    require(before.shape == after.shape, f"images {before.shape}, counterexamples {after.shape}")
    for example, x, y in zip(examples, before, after, strict=True):
        change = (y.astype(np.float64) - x).ravel()
        example["distance"] = {
            "linf": float(np.abs(change).max()),
            "l2": float(np.linalg.norm(change)),
            "l1": float(np.abs(change).sum()),
        }
        _check_inside(example, y, question)
    return before, after


def _stored(path: Path) -> np.ndarray:
    try:
        return np.load(path)
    except (OSError, ValueError, EOFError) as error:
        raise Inconsistent(f"{path}: expected a stored image; it cannot be read") from error


def _check_inside(example: Row, image: np.ndarray, question: Row) -> None:
    """A counterexample lies in the region it is shown against (up to rounding) and in [0, 1]."""
    eps = question["epsilon"]
    distance = example["distance"].get(question["threat"], 0.0)
    where = f"{question['name']}, example {example['index']}"
    require(distance <= eps * (1 + 1e-6) + 1e-7, f"{where}: counterexample at distance {distance}")
    inside = bool(np.all((image >= 0) & (image <= 1)))
    require(inside, f"{where}: the counterexample leaves [0, 1]")
