"""What stands below a figure of accuracies by radius: what its lines join, what is on none."""

from __future__ import annotations

from rt_tf.reporting.curves import apart, is_gap_known
from rt_tf.reporting.record_file import Row
from rt_tf.reporting.summary import by_threat
from rt_tf.reporting.text import ACCURACIES


def line_notes(report: Row, threat: str) -> list[str]:
    """Sentences on the figure of a threat: each line's images and means, then the hollow marks."""
    questions = by_threat(report)[threat]
    lines = {line["accuracy"]: line for line in report["lines"] if line["threat"] == threat}
    if len(questions) == 1:
        return ["One radius was asked for."]
    notes = [_line(line) for name, line in lines.items() if name != "clean"]
    if is_gap_known(lines):
        notes.append("The truth lies between the two lines, in the shaded gap.")
    if any(apart(questions, lines.get(name), name) for name in ACCURACIES):
        notes.append(
            "Marks that no line joins (hollow where there is one) are of other images, or by other "
            "means: they do not compare with one another."
        )
    return notes


def _line(line: Row) -> str:
    sample, by = line["sample"], ", ".join(line["by"])
    images = f"the same {sample['n']:,} images (indices {sample['indices']})"
    return f"The line of {line['accuracy']} accuracy is of {images} at each radius, by {by}."
