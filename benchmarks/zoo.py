"""The zoo: takes finished runs in, and prints the table of docs/zoo.md.

python -m benchmarks.zoo add runs/mnist/goal_01 mnist/goal_01
python -m benchmarks.zoo table
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from rt_tf import zoo
from rt_tf.exactly import radius_text
from rt_tf.notes import read_notes, write_notes
from rt_tf.reporting.summary import main_question

FILES = ("best/network.keras", "history.jsonl")
OF_ONE_MACHINE = ("model_dir", "data_dir", "cache_dir")  # flags that say nothing elsewhere
COLUMNS = ("network", "threat", "clean", "attacked", "certified", "parameters", "KiB", "SHA-256")


def add(run: Path, name: str) -> None:
    """Takes a finished run into the zoo, without records, export and logs."""
    target = zoo.ROOT / name
    shutil.rmtree(target, ignore_errors=True)
    for file in FILES:
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(run / file, target / file)
    shutil.copy(run / "export" / "assets.extra" / "MODEL_CARD.md", target)
    write_notes(target / "run.json", _anywhere(read_notes(run / "run.json")))
    report = _anywhere(json.loads((run / "report" / "report.json").read_text()))
    (target / "report").mkdir()
    (target / "report" / "report.json").write_text(json.dumps(report) + "\n")


def _anywhere(content: Any) -> Any:
    """Facts without the flags that name places of one machine."""
    if isinstance(content, list):
        return [_anywhere(part) for part in content]
    if not isinstance(content, dict):
        return content
    return {k: _anywhere(part) for k, part in content.items() if k not in OF_ONE_MACHINE}


def table() -> str:
    """The networks of the zoo in Markdown: the threat, accuracies in %, the network's checksum."""
    rows = [COLUMNS, ["---"] * len(COLUMNS), *(_row(name) for name in zoo.names())]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _row(name: str) -> list[str]:
    folder = zoo.folder(name)
    report = json.loads((folder / "report" / "report.json").read_text())
    main = main_question(report)
    rates = [f"{100 * main[what]['rate']:.1f}" for what in ("clean", "attacked", "certified")]
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return [
        f"`{zoo.PREFIX}{name}`",
        f"{main['threat']} {radius_text(main['epsilon'])}",
        *rates,
        f"{report['model']['parameters']:,}",
        f"{size / 1024:.0f}",
        f"`{report['model']['network_sha256'][:16]}`",
    ]


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    taken = commands.add_parser("add", help="take a finished run in")
    taken.add_argument("run", type=Path)
    taken.add_argument("name", help="<data set>/<system>")
    commands.add_parser("table", help="print the table")
    arguments = parser.parse_args()
    if arguments.command == "add":
        add(arguments.run, arguments.name)
    else:
        print(table())


if __name__ == "__main__":
    main()
