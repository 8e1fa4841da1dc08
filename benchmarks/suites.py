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
    """The table of a suite in a run's report; UserError where the suite was not run."""
    path = run / "report" / "report.json"
    if not path.exists():
        raise UserError(f"runs: expected directories of finished runs; received {run}")
    suites = {table["suite"]: table for table in json.loads(path.read_text())["suites"]}
    if name not in suites:
        names = ", ".join(suites) or "none"
        raise UserError(f"suite: expected one that {run} has ({names}); received {name}")
    return suites[name]


def column(table: dict[str, Any]) -> Cells:
    """A network's accuracies, in the order of the lines."""
    cells = {"clean": table["clean"]["rate"]}
    for minimum in table["minima"]:
        threat = f"{minimum['threat']} {radius_text(minimum['epsilon'])}"
        rows = [row for row in table["rows"] if row["question"] == minimum["question"]]
        cells |= {f"{row['name']}, {threat}": row["attacked"]["rate"] for row in rows}
        cells[f"**all {threat} attacks**"] = minimum["attacked"]["rate"]
    return cells | {"**all attacks**": table["all"]["rate"]}


def markdown(names: list[str], columns: list[Cells]) -> str:
    """The table as markdown; a line is empty for networks without its attack."""
    lines = list(dict.fromkeys(line for cells in columns for line in cells))
    rows = [["attack", *names], ["---"] * (len(names) + 1)]
    for line in lines:
        shares = [f"{100 * cells[line]:.1f}" if line in cells else "" for cells in columns]
        rows.append([line, *shares])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suite", help="the suite's name")
    parser.add_argument("runs", nargs="+", type=Path, help="directories of finished runs")
    arguments = parser.parse_args()
    with one_line_errors():
        tables = [suite(run, arguments.suite) for run in arguments.runs]
    print(markdown([run.name for run in arguments.runs], [column(table) for table in tables]))


if __name__ == "__main__":
    main()
