"""The README's table of results, from the reports of finished runs.

python -m benchmarks.results runs/mnist/ibp runs/mnist/natural
"""

import argparse
import json
from pathlib import Path
from typing import Any

from rt_tf.reporting.formats import percent
from rt_tf.reporting.summary import main_question

HEADER = """| system | eps | clean | attacked | certified | test images | training |
|---|---|---|---|---|---|---|"""


def row(report: dict[str, Any]) -> str:
    """One run as a row of a markdown table."""
    question = main_question(report)
    shares = [percent(question[name]) for name in ("clean", "attacked", "certified")]
    size, seconds = question["clean"]["n"], report["training"]["seconds"]
    training = "not here" if seconds is None else f"{seconds / 60:.1f} min"
    cells = [f"`{report['system']}`", f"{question['epsilon']:g}", *shares, f"{size:,}"]
    return "| " + " | ".join([*cells, training]) + " |"


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, help="directories of finished runs")
    runs = parser.parse_args().runs
    reports = [json.loads((run / "report" / "report.json").read_text()) for run in runs]
    print("\n".join([HEADER, *map(row, reports)]))


if __name__ == "__main__":
    main()
