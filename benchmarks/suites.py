"""One suite of attacks on several networks as a table, from the reports of their runs.

    python -m benchmarks.suites paper-union runs/mnist/pgd_linf-small runs/mnist/msd-small

Accuracies in %: clean, under each attack, the worst by threat, and the worst of all (the shape of
Wong 2020 (thesis), tables 5.2 and 5.3).
"""

import argparse
import json
from pathlib import Path
from typing import Any

from pipelines.console import one_line_errors
from rt_tf.errors import UserError
from rt_tf.exactly import radius_text

Cells = dict[str, float]  # a line's name -> accuracy


def suite(run: Path, name: str) -> dict[str, Any]:
    """A run's table of the suite; UserError where it was not asked."""
    path = run / "report" / "report.json"
    if not path.exists():
        raise UserError(f"runs: expected directories of finished runs; received {run}")
    suites = {found["suite"]: found for found in json.loads(path.read_text())["suites"]}
    if name not in suites:
        asked = ", ".join(suites) or "none"
        raise UserError(f"suite: expected one that {run} was asked ({asked}); received {name}")
    return suites[name]


def column(found: dict[str, Any]) -> Cells:
    """A network's accuracies, in the order of the lines."""
    cells = {"clean": found["clean"]["rate"]}
    for minimum in found["minima"]:
        threat = f"{minimum['threat']} {radius_text(minimum['epsilon'])}"
        rows = [row for row in found["rows"] if row["question"] == minimum["question"]]
        cells |= {f"{row['name']}, {threat}": row["attacked"]["rate"] for row in rows}
        cells[f"**all {threat} attacks**"] = minimum["attacked"]["rate"]
    return cells | {"**all attacks**": found["all"]["rate"]}


def markdown(names: list[str], columns: list[Cells]) -> str:
    """The table; a line that a network was not asked is left empty there."""
    lines = list(dict.fromkeys(line for cells in columns for line in cells))
    rows = [["attack", *names], ["---"] * (len(names) + 1)]
    for line in lines:
        told = [f"{100 * cells[line]:.1f}" if line in cells else "" for cells in columns]
        rows.append([line, *told])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", help="its name")
    parser.add_argument("runs", nargs="+", type=Path, help="directories of finished runs")
    arguments = parser.parse_args()
    with one_line_errors():
        found = [suite(run, arguments.suite) for run in arguments.runs]
    print(markdown([run.name for run in arguments.runs], [column(one) for one in found]))


if __name__ == "__main__":
    main()
