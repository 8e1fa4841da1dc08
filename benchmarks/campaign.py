"""Long trainings, one at a time on one core, by a list: restartable at any moment.

    python -m benchmarks.campaign --runs=<folder> --data_dir=<your TFDS folder> --core=1
    python -m benchmarks.campaign --runs=<folder> --status
    python -m benchmarks.campaign --table

The list is benchmarks/campaign.json (`--list` names another), see `benchmarks.entries`. Each entry
is a run of `pipelines.train` at the lowest priority on one core; its result is kept in
benchmarks/results/campaign/ (`--results`) as it ends. Killed, a campaign goes on with the same
command: where the run stopped, with what is left of the entry's budget. The list is read again
before each entry. Two campaigns with the same folder of runs share the list: no entry is run twice.
An entry that failed is tried again by the next campaign; one that is over its budget, once the list
grants more. Each run is that of the code it was begun with: to go on with another one, end the
campaign (`kill <its process>`: it prints it), change the code, and start it again, with
--accept_changed_flags where flags or their defaults have changed.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table

from benchmarks import budgeted, systems
from benchmarks.entries import Entry, Folder, read
from pipelines.console import one_line_errors
from pipelines.flags.flag_files import CONFIGS

LIST = Path(__file__).with_suffix(".json")
RESULTS = systems.RESULTS.parent / "campaign"
ENDS = """| system | seed | selected (epoch) | last (epoch) | training, CPU hours | cores |
|---|---|---|---|---|---|"""


def campaign(listed: Path, folder: Folder, options: Sequence[str] = ()) -> list[str]:
    """Runs the entries that are not done, in the list's order; returns a line for each failure.

    options: of every training, besides its flag file, run directory and seed.
    """
    failed: list[str] = []
    tried: set[str] = set()
    while entry := _next(listed, folder, tried):
        tried.add(entry.name)
        with folder.locked(entry) as lock:
            if lock is None or not folder.left(entry):
                continue
            print(f"{entry.name}: {folder.left(entry):.2f} CPU hours left", flush=True)
            ended = train(entry, folder, options, lock)
        print(f"{entry.name}: {ended or 'done'}", flush=True)
        failed += [f"{entry.name}: {ended}"] if ended else []
    return failed


def _next(listed: Path, folder: Folder, tried: set[str]) -> Entry | None:
    """The first entry of the list, as it is now, that has not been tried and may be run."""
    open_entries = (entry for entry in read(listed) if entry.name not in tried)
    return next((entry for entry in open_entries if folder.left(entry)), None)


def train(entry: Entry, folder: Folder, options: Sequence[str], lock: TextIO) -> str:
    """Runs an entry and stores its result; returns how it failed, "" if it did not."""
    before = folder.spent(entry)
    log = folder.log(entry)
    command = systems.command(entry.system, entry.seed, folder.run(entry).resolve(), options)
    status = budgeted.run(
        command,
        CONFIGS.parent,
        log,
        3600 * folder.left(entry),
        lock,
        lambda seconds: folder.note(entry, before + seconds / 3600),
    )
    if not status:
        systems.keep(folder.run(entry), entry.system, entry.seed, folder.results)
        return ""
    if status in budgeted.OVER:
        folder.note(entry, max(folder.spent(entry), entry.hours))
        return "over its budget"
    last = log.read_text(errors="replace").strip().splitlines()[-1:]
    ended = f"status {status}: {' '.join(last)}"
    folder.note(entry, folder.spent(entry), ended)
    return ended


def status(entries: Sequence[Entry], folder: Folder) -> Table:
    """The state of each entry, with its CPU hours spent, granted and left."""
    table = Table("entry", "state", "CPU hours spent", "of", "left at most", highlight=False)
    for entry in entries:
        spent, left = folder.spent(entry), folder.left(entry)
        numbers = (f"{number:.2f}" for number in (spent, entry.hours, left))
        table.add_row(entry.name, folder.state(entry), *numbers)
    table.add_section()
    done = sum(folder.state(entry) == "done" for entry in entries)
    sums = (folder.spent, lambda entry: entry.hours, folder.left)
    totals = (f"{sum(map(number, entries)):.2f}" for number in sums)
    table.add_row("all", f"{done} of {len(entries)} done", *totals)
    return table


def table(listed: Sequence[Entry], folder: Folder) -> str:
    """The results of a list as markdown, then validation accuracies of each training.

    These are clean / attacked / verified, in %, of the network that was selected and of the last.
    """
    results = [folder.result(entry) for entry in listed if folder.result(entry).exists()]
    rows = [_ends(json.loads(path.read_text())) for path in results]
    systems_table = systems.table({entry.system for entry in listed}, folder.results)
    return "\n".join([systems_table, "", ENDS, *rows])


def _ends(result: systems.Result) -> str:
    best, final = (result[end] for end in ("best", "final"))
    cells = [f"`{result['system']}`", str(result["seed"])]
    cells += [f"{_accuracies(row['validation'])} ({row['epoch']})" for row in (best, final)]
    cells += [f"{result['training_cpu_seconds'] / 3600:.2f}", str(result["hardware"]["cores"])]
    return f"| {' | '.join(cells)} |"


def _accuracies(watched: dict[str, float | None]) -> str:
    kinds = ("clean", "attacked", "verified")
    shares = [watched[kind] for kind in kinds]
    return " / ".join("-" if share is None else f"{100 * share:.1f}" for share in shares)


def main() -> None:
    """The entry point."""
    arguments = _arguments()
    folder = Folder(arguments.runs, arguments.results)
    with one_line_errors():
        entries = read(arguments.list)
        if arguments.table:
            print(table(entries, folder))
        elif arguments.status:
            Console(width=120).print(status(entries, folder))
        else:
            budgeted.pin(max(os.sched_getaffinity(0)) if arguments.core is None else arguments.core)
            print(f"process {os.getpid()}, on core {min(os.sched_getaffinity(0))}", flush=True)
            if failed := campaign(arguments.list, folder, _options(arguments)):
                sys.exit("\n".join(failed))


def _options(arguments: argparse.Namespace) -> list[str]:
    data_dir = [f"--data_dir={arguments.data_dir}"] if arguments.data_dir else []
    return [*data_dir, *(["--accept_changed_flags"] if arguments.accept_changed_flags else [])]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", type=Path, default=LIST, help="what to train, a JSON file")
    parser.add_argument("--runs", type=Path, default=Path("runs/campaign"), help="for the runs")
    parser.add_argument("--results", type=Path, default=RESULTS, help="for the results")
    parser.add_argument("--data_dir", help="folder with prepared TFDS data sets")
    parser.add_argument("--core", type=int, help="to run on; the last usable one by default")
    about = "go on with a run although its flags have changed, where that can be done"
    parser.add_argument("--accept_changed_flags", action="store_true", help=about)
    parser.add_argument("--status", action="store_true", help="only say how far the entries are")
    parser.add_argument("--table", action="store_true", help="only print the table of results")
    return parser.parse_args()


if __name__ == "__main__":
    main()
