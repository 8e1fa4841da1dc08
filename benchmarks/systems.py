"""Every system once with a shortened schedule: what it reaches, beside what its paper reports.

    python -m benchmarks.systems --data_dir=<your TFDS folder> [mnist/ibp-short ...]

Runs the flag files configs/<data set>/<system>-short.cfg that have no result yet, one after
another, and keeps each result in benchmarks/results/systems/ as it ends: killed, it goes on with
the same command. Then prints all results as a markdown table. `--table` only prints.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pipelines.parsing import CONFIGS
from rt_tf.files import write_text
from rt_tf.reporting.summary import main_question

RESULTS = Path(__file__).parent / "results" / "systems"
HEADER = """| system | eps | published | clean | attacked | certified | training |
|---|---|---|---|---|---|---|"""
KEPT = ("clean", "attacked", "certified")
PRIVATE = ("data_dir", "model_dir", "extra_data")


def systems() -> list[str]:
    """The names of all shortened systems."""
    paths = sorted(CONFIGS.glob("*/*-short.cfg"))
    return [str(path.relative_to(CONFIGS).with_suffix("")) for path in paths]


def place(name: str) -> Path:
    """Where a system's result is kept."""
    return RESULTS / f"{name.replace('/', '-')}.json"


def train(name: str, data_dir: str | None, runs: Path) -> int:
    """Runs a system to its end; returns the exit status."""
    command = [sys.executable, "-m", "pipelines.train", f"--flagfile=configs/{name}.cfg"]
    command += [f"--model_dir={runs / name}", *([f"--data_dir={data_dir}"] if data_dir else [])]
    return subprocess.run(command, cwd=CONFIGS.parent, check=False).returncode


def result(run: Path, seconds: float) -> dict[str, Any]:
    """What is kept of a finished run. seconds: of the whole command."""
    report = json.loads((run / "report" / "report.json").read_text())
    facts = json.loads((run / "run.json").read_text())
    question = main_question(report)
    flags = {k: v for k, v in facts["flags"].items() if k not in PRIVATE}
    return {
        "system": report["system"],
        "published": flags.get("published", "-"),
        "epsilon": question["epsilon"],
        "threat": question["threat"],
        **{name: question[name] for name in KEPT if name in question},
        "training_seconds": report["training"]["seconds"],
        "command_seconds": seconds,
        "selected": facts.get("selected"),
        "model": facts.get("model"),
        "flags": flags,
        "git_commit": facts.get("git_commit"),
        "hardware": facts.get("hardware"),
    }


def row(found: dict[str, Any]) -> str:
    """A result as a row of the table."""

    def share(name: str) -> str:
        value = found.get(name) or {}
        return "-" if value.get("rate") is None else f"{100 * value['rate']:.1f}"

    minutes = f"{found['training_seconds'] / 60:.1f} min"
    name = found["system"].removesuffix("-short")
    region = f"{found['threat']} {found['epsilon']:g}"
    cells = [f"`{name}`", region, found["published"], *map(share, KEPT), minutes]
    return "| " + " | ".join(cells) + " |"


def table() -> str:
    """All results there are."""
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))]
    return "\n".join([HEADER, *map(row, found)])


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="systems; all that have no result, by default")
    parser.add_argument("--data_dir", help="folder with prepared TFDS data sets")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where the runs are")
    parser.add_argument("--table", action="store_true", help="only print the table")
    arguments = parser.parse_args()
    failed = []
    asked = arguments.names or [name for name in systems() if not place(name).exists()]
    for name in [] if arguments.table else asked:
        began = time.monotonic()
        if train(name, arguments.data_dir, arguments.runs.resolve()):
            failed.append(name)
            continue
        kept = result(arguments.runs / name, time.monotonic() - began)
        write_text(place(name), json.dumps(kept, indent=1) + "\n")
    print(table())
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
