"""The report of a run as files: report.json (schema in `summary`) and one HTML page."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import NamedTuple

import jinja2
from matplotlib.figure import Figure

from rt_tf.domain import Domain
from rt_tf.exactly import radius_text
from rt_tf.files import write_text
from rt_tf.records.record_file import Row
from rt_tf.reporting.attacks.sanity import not_checked
from rt_tf.reporting.counterexamples import Images, Originals, measure
from rt_tf.reporting.data_text import class_name, data_facts, data_name
from rt_tf.reporting.figures import curves, pictures, plots, radius_plots, style
from rt_tf.reporting.figures.curves import line_notes
from rt_tf.reporting.formats import comparison_text, duration, in_words, interval, percent
from rt_tf.reporting.summary import by_threat, main_question, summarise, weaker
from rt_tf.reporting.text import code_text

TEMPLATE = "report.html.jinja"
PIXELS_PER_INCH = 96


def write_report(run_dir: str | Path, originals: Originals | None = None) -> Row:
    """Writes report/report.json and report/report.html of a run, and returns the report.

    originals: a function of indices to images, float32 [k, h, w, c], of the test split, in the
    domain; with it the page shows the smallest counterexamples, each measured again. Raises
    Inconsistent, and writes nothing, if records contradict each other or an example breaks clean >=
    attacked >= certified.
    """
    run_dir = Path(run_dir)
    report = summarise(run_dir)
    domain = Domain.from_config(report["data"]["domain"])
    images = measure(run_dir, report["examples"], originals, domain) if originals else {}
    text = json.dumps(report, allow_nan=False, indent=1)
    html = page(report, images)
    write_text(run_dir / "report" / "report.html", html)
    write_text(run_dir / "report" / "report.json", text + "\n")
    return report


def environment() -> jinja2.Environment:
    """The environment of this library's templates, with their filters."""
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "percent": percent,
        "interval": interval,
        "duration": duration,
        "radius": radius_text,
        "in_words": in_words,
        "code": code_text,
        "comparison": comparison_text,
    }
    return templates


def page(report: Row, images: Mapping[str, Images]) -> str:
    """The self-contained HTML page of a report. images: originals and counterexamples by threat."""
    return (
        environment()
        .get_template(TEMPLATE)
        .render(
            report=report,
            main=main_question(report),
            threats=by_threat(report),
            weaker=weaker(report),
            figures=draw(report, images),
            rung_columns=_rung_columns(main_question(report)),
            line_notes={threat: line_notes(report, threat) for threat in by_threat(report)},
            colours=style.COLOURS,
            not_checked=not_checked(report["sanity"]),
            class_name=partial(class_name, report["data"]),
            data_name=data_name(report["data"]),
            data_facts=data_facts(report["data"]),
        )
    )


def _rung_columns(question: Row) -> set[str]:
    """The counts of a certificate's rungs that have a column: the usual ones, and any above 0."""
    rungs = question["certificate"]["rungs"] if question["certificate"] else []
    usual = {"tried", "certified", "credited", "loose"}
    return usual | {key for rung in rungs for key, count in rung.items() if count and key != "rung"}


class Drawn(NamedTuple):
    """A figure as a data URI, and its width on a page in pixels, at which its text has its size."""

    uri: str
    width: int


def draw(report: Row, images: Mapping[str, Images]) -> dict[str, Drawn]:
    """The figures of the page of a report, by name. images: as in `page`."""
    main = main_question(report)
    vector = {
        "training": plots.training_curves(report["training"]["history"]),
        "margins": plots.margin_histogram(main["margins"]),
        "classes": plots.class_bars(
            main["classes"], [class_name(report["data"], row["label"]) for row in main["classes"]]
        ),
    }
    if certificate := main["certificate"]:
        vector["settled"] = curves.settled_by_time(certificate["pace"])
    for threat, questions in by_threat(report).items():
        eps = main["epsilon"] if threat == main["threat"] else None
        of_threat = [line for line in report["lines"] if line["threat"] == threat]
        vector[f"eps-{threat}"] = curves.accuracy_by_eps(questions, of_threat, eps)
    for radius in report["radii"]:
        vector[f"radius-{radius['threat']}"] = radius_plots.certified_radii(radius)
    figures = {name: drawn(figure) for name, figure in vector.items() if figure}
    for threat, pair in images.items():
        domain = Domain.from_config(report["data"]["domain"])
        named = partial(class_name, report["data"])
        shown = pictures.adversarial_examples(*pair, report["examples"][threat], domain, named)
        figures |= {f"examples-{threat}": Drawn(_png(shown), _width(shown))} if shown else {}
    return figures


def drawn(figure: Figure) -> Drawn:
    """A figure of lines for a page, as SVG."""
    return Drawn(_svg(figure), _width(figure))


def _width(figure: Figure) -> int:
    return round(PIXELS_PER_INCH * figure.get_figwidth())


def _svg(figure: Figure) -> str:
    data = base64.b64encode(style.encode(figure, "svg")).decode()
    return f"data:image/svg+xml;base64,{data}"


def _png(figure: Figure) -> str:
    """The figure of pixels as PNG, since browsers would smooth it as SVG."""
    data = base64.b64encode(style.encode(figure, "png", dpi=192)).decode()
    return f"data:image/png;base64,{data}"
