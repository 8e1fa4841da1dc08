"""A comparison as one self-contained HTML page."""

from __future__ import annotations

from rt_tf.reporting import report
from rt_tf.reporting.comparison import figures
from rt_tf.reporting.comparison.comparing import Comparison
from rt_tf.reporting.comparison.tables import sentences, table
from rt_tf.reporting.figures import style

TEMPLATE = "comparison.html.jinja"
ACCURACIES = ("attacked", "certified")


def page(comparison: Comparison) -> str:
    """The page: the table, accuracies against the radius, and the courses of training."""
    curves = {name: figures.curve(comparison, name) for name in ACCURACIES}
    drawings = {name: figures.accuracy_curve(comparison, curve) for name, curve in curves.items()}
    drawings["training"] = figures.training_curves(comparison)
    return (
        report.environment()
        .get_template(TEMPLATE)
        .render(
            comparison=comparison,
            table=table(comparison),
            sentences=sentences(comparison),
            curves=curves,
            figures={name: report.drawn(drawing) for name, drawing in drawings.items() if drawing},
            colours=style.COLOURS,
        )
    )
