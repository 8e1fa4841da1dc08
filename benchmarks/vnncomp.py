"""Answers to properties of VNN-COMP's benchmarks, against those of published tools.

    python -m benchmarks.vnncomp --instances=<folder>/instances.csv [--time_limit=30] [--json=FILE]

The list has a line for each instance: the network's file, the property's (both relative to the
list; the property may be gzipped), a time limit that is not used here, and the number of published
tools by answer, as in `sat:7|unsat:1`. Every instance is a command of its own. With `--json` each
answer is written as it comes, and the same command goes on from there.
"""

import argparse
import csv
import json
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from pipelines.console import one_line_errors
from rt_tf.errors import UserError
from rt_tf.files import write_text
from rt_tf.machine import usable_cores

COLUMNS = ("onnx", "vnnlib", "time_limit_s", "published_verdicts")
ANSWERS = ("sat", "unsat", "unknown", "timeout", "refused", "failed")
OPPOSITE = {"sat": "unsat", "unsat": "sat"}
Row = dict[str, Any]


class Instance(NamedTuple):
    """A network's file, a property's, and the number of published tools by answer."""

    onnx: str
    vnnlib: str
    published: dict[str, int]

    @property
    def key(self) -> str:
        return f"{self.onnx} {self.vnnlib}"


def instances(listed: Path) -> list[Instance]:
    """The instances of a list; UserError for a file that is no list."""
    try:
        with listed.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"instances: expected a list of instances; {listed}: {error}") from error
    if not rows or set(COLUMNS) - set(rows[0]):
        raise UserError(f"instances: expected columns {', '.join(COLUMNS)} in {listed}")
    return [Instance(row["onnx"], row["vnnlib"], _counts(row[COLUMNS[3]])) for row in rows]


def _counts(text: str) -> dict[str, int]:
    pairs = (part.split(":") for part in text.split("|") if part)
    return {answer: int(count) for answer, count in pairs}


def answered(instance: Instance, folder: Path, limit: float) -> Row:
    """The answer to an instance, its reason, and the seconds that the whole command took."""
    onnx, vnnlib = folder / instance.onnx, folder / instance.vnnlib
    files = [f"--onnx_file={onnx}", f"--vnnlib_file={vnnlib}"]
    command = [sys.executable, "-m", "pipelines.verify", *files, f"--time_limit={limit}"]
    began = time.monotonic()
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    answer, why = _answer_of(result)
    row = {"onnx": instance.onnx, "vnnlib": instance.vnnlib, "published": instance.published}
    return {**row, "answer": answer, "why": why, "seconds": round(seconds, 2)}


def _answer_of(result: subprocess.CompletedProcess[str]) -> tuple[str, str]:
    if result.returncode == 0:
        answer, _, by = result.stdout.strip().partition(" ")
        return answer, by.strip("()")
    lines = result.stderr.strip().splitlines() or [f"exit {result.returncode}"]
    is_refused = len(lines) == 1 and lines[0].startswith("error: ")
    return ("refused" if is_refused else "failed"), lines[-1]


def contradicts(row: Row) -> bool:
    """Whether published tools gave the opposite answer, and none this one."""
    opposite = OPPOSITE.get(row["answer"])
    return opposite in row["published"] and row["answer"] not in row["published"]


def summary(rows: list[Row], limit: float) -> Row:
    """The answers by family, contradictions of published ones, and the latest one's delay."""
    families: dict[str, Counter] = {}
    for row in rows:
        families.setdefault(row["onnx"].split("/")[0], Counter())[row["answer"]] += 1
    return {
        "answers": {name: dict(counts) for name, counts in families.items()},
        "contradictions": [f"{row['onnx']} {row['vnnlib']}" for row in rows if contradicts(row)],
        "latest": round(max((row["seconds"] for row in rows), default=0.0) - limit, 2),
    }


def table(answers: dict[str, dict[str, int]]) -> Table:
    """The table of the answers by family, and in all."""
    shown = Table("family", *ANSWERS)
    total: Counter = Counter()
    for name, counts in answers.items():
        total.update(counts)
        shown.add_row(name, *(str(counts.get(answer, 0)) for answer in ANSWERS))
    shown.add_row("all", *(str(total[answer]) for answer in ANSWERS))
    return shown


def run(listed: Path, limit: float, rows: list[Row]) -> Iterator[Row]:
    """Yields the row of each instance without one, and adds it to `rows`."""
    done = {f"{row['onnx']} {row['vnnlib']}" for row in rows}
    for instance in instances(listed):
        if instance.key not in done:
            rows.append(answered(instance, listed.parent, limit))
            yield rows[-1]


def report(rows: list[Row], limit: float) -> Row:
    """The content of the file of answers."""
    machine = {"cores": usable_cores(), "platform": platform.platform()}
    return {"time_limit": limit, "machine": machine, **summary(rows, limit), "instances": rows}


def read_rows(path: Path | None, limit: float) -> list[Row]:
    """The rows of a file of answers; UserError where they are of another time limit."""
    if path is None or not path.exists():
        return []
    content = json.loads(path.read_text())
    if content["time_limit"] != limit:
        raise UserError(
            f"time_limit: expected {content['time_limit']:g}, as in {path}, or another --json; "
            f"received {limit:g}"
        )
    return content["instances"]


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=Path, required=True, help="the list")
    parser.add_argument("--time_limit", type=float, default=30.0, help="seconds for an instance")
    parser.add_argument("--json", type=Path, help="file of the answers")
    arguments = parser.parse_args()
    console = Console(highlight=False, markup=False, soft_wrap=True)
    limit, path = arguments.time_limit, arguments.json
    with one_line_errors():
        rows = read_rows(path, limit)
        for row in run(arguments.instances, limit, rows):
            console.print(row["vnnlib"], row["answer"], f"{row['seconds']} s", row["why"])
            if path:
                write_text(path, json.dumps(report(rows, limit), indent=1) + "\n")
        figures = summary(rows, limit)
        console.print(table(figures["answers"]))
        console.print(f"the latest answer: {figures['latest']:+.1f} s after the limit")
        console.print("against all published answers:", *figures["contradictions"] or ["none"])


if __name__ == "__main__":
    main()
