"""The report of a run as files: report.json (schema in `summary`) and one HTML page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import jinja2
from matplotlib.figure import Figure

from rt_tf.files import write_text
from rt_tf.reporting import curves, drawing, pictures, plots, radius_plots
from rt_tf.reporting.counterexamples import Images, Originals, measure
from rt_tf.reporting.formats import duration, interval, percent
from rt_tf.reporting.record_file import Row
from rt_tf.reporting.sanity import not_checked
from rt_tf.reporting.summary import by_threat, main_question, summarise, weaker

TEMPLATE = "report.html.jinja"


def write_report(run_dir: str | Path, originals: Originals | None = None) -> Row:
    """Write report/report.json and report/report.html of a run, and return the report.

    `originals(indices)` gives the images float32 [k, h, w, c] in [0, 1] of the test split; with it
    the page shows the smallest counterexamples, each measured again. Raises Inconsistent, and
    writes nothing, if records contradict each other or an example breaks clean >= attacked >=
    certified.
    """
    run_dir = Path(run_dir)
    report = summarise(run_dir)
    images = measure(run_dir, report["examples"], originals) if originals else {}
    text = json.dumps(report, allow_nan=False, indent=1)
    html = page(report, images)
    write_text(run_dir / "report" / "report.html", html)
    write_text(run_dir / "report" / "report.json", text + "\n")
    return report


def page(report: Row, images: Mapping[str, Images]) -> str:
    """The self-contained HTML page; `images` by threat: originals and their counterexamples."""
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
        weaker=weaker(report),
        figures=drawn(report, images),
        colours=drawing.COLOURS,
        not_checked=not_checked(report["sanity"]),
    )


def drawn(report: Row, images: Mapping[str, Images]) -> dict[str, str]:
    """The page's figures, as data URIs by name."""
    main = main_question(report)
    vector = {
        "training": plots.training_curves(report["training"]["history"]),
        "margins": plots.margin_histogram(main["margins"]),
        "classes": plots.class_bars(main["classes"]),
    }
    if certificate := main["certificate"]:
        vector["settled"] = curves.settled_by_time(certificate["pace"])
    for threat, questions in by_threat(report).items():
        eps = main["epsilon"] if threat == main["threat"] else None
        vector[f"eps-{threat}"] = curves.accuracy_by_eps(questions, eps)
    for radius in report["radii"]:
        vector[f"radius-{radius['threat']}"] = radius_plots.certified_radii(radius)
    found = {name: _svg(figure) for name, figure in vector.items() if figure}
    for threat, pair in images.items():
        shown = pictures.adversarial_examples(*pair, report["examples"][threat])
        found |= {f"examples-{threat}": _png(shown)} if shown else {}
    return found


def _svg(figure: Figure) -> str:
    data = base64.b64encode(drawing.encode(figure, "svg")).decode()
    return f"data:image/svg+xml;base64,{data}"


def _png(figure: Figure) -> str:
    """Pictures of pixels: as SVG, browsers would smooth them."""
    data = base64.b64encode(drawing.encode(figure, "png", dpi=192)).decode()
    return f"data:image/png;base64,{data}"
