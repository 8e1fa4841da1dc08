"""A list of properties of networks, each decided by a command of its own."""

import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pipelines.assembly import tasks
from pipelines.assembly.tasks import Done
from pipelines.console import terminal
from pipelines.flags.cluster import Cluster
from pipelines.flags.kinds import ANY, within
from rt_tf.errors import UserError

FAILED = "error"


class Instance(NamedTuple):
    """A line of a list: a network's file, a property's, and the seconds that it may take."""

    onnx_file: Path
    vnnlib_file: Path
    time_limit: float

    @property
    def name(self) -> str:
        return f"{self.onnx_file} {self.vnnlib_file}"

    def command(self, seed: int) -> list[str]:
        """The words of the command that decides it."""
        flags = [f"--{name}={value}" for name, value in self._asdict().items()]
        return [sys.executable, "-m", "pipelines.verify", *flags, f"--seed={seed}"]


def read(listed: Path) -> list[Instance]:
    """The instances of a list in VNN-COMP's form: network, property and seconds, by commas.

    Files are those beside the list. UserError for a file that is no such list.
    """
    try:
        with listed.open(newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"instances: expected a list; {listed}: {error}") from error
    if not rows:
        raise UserError(f"instances: expected at least one line in {listed}; it is empty")
    return [_instance(listed, place, row) for place, row in enumerate(rows, start=1)]


def _instance(listed: Path, line: int, row: list[str]) -> Instance:
    try:
        network, vnnlib, seconds = (cell.strip() for cell in row)
        files = [(listed.parent / name).resolve() for name in (network, vnnlib)]
        absent = [str(path) for path in files if not path.is_file()]
        if absent:
            raise ValueError(f"there is no file {absent[0]}")
        return Instance(files[0], files[1], within(0.0, ANY)(seconds))
    except ValueError as error:
        raise UserError(
            f"instances: expected a network, a property and seconds in line {line} of {listed}; "
            f"received {','.join(row)[:200]} ({error})"
        ) from error


def decide_all(listed: Path, results: Path, cluster: Cluster | None, seed: int) -> None:
    """Decides the instances without an answer in a file of results, a line of JSON each.

    Killed, it goes on with the same command, which also tries again what failed.
    """
    instances = {instance.name: instance for instance in read(listed)}
    answers = {
        name: word for name, word in _answered(results) if name in instances and word != FAILED
    }
    left = {name: i.command(seed) for name, i in instances.items() if name not in answers}
    screen = terminal()
    with results.open("a") as file:
        for name, end in tasks.done(left, Path.cwd(), cluster):
            word, by = answer_of(end)
            row = {"instance": name, "answer": word, "by": by, "seconds": round(end.seconds, 2)}
            file.write(json.dumps(row) + "\n")
            file.flush()
            answers[name] = word
            screen.tell("instance", f"{name}: {word} ({by})", **row)
    counts = Counter(answers.values())
    words = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
    screen.tell("instances", f"{len(answers)} of {len(instances)}: {words}", **counts)


def answer_of(end: Done) -> tuple[str, str]:
    """The answer of a command, and what decided; or why there is none."""
    if end.status == 0:
        word, _, by = end.output.strip().partition(" ")
        return word, by.strip("()")
    lines = end.errors.strip().splitlines() or [f"status {end.status}"]
    return FAILED, lines[-1].removeprefix("error: ")


def _answered(results: Path) -> Iterator[tuple[str, str]]:
    """The instances that have an answer; a line that a killed command left half-written has none.

    Its rest is removed, so that the next line begins anew.
    """
    if not results.exists():
        return
    whole, _, rest = results.read_text().rpartition("\n")
    if rest:
        results.write_text(f"{whole}\n" if whole else "")
    for line in whole.splitlines():
        try:
            row = json.loads(line)
            yield row["instance"], row["answer"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"results_file: expected lines of answers in {results}; received {line[:100]}"
            ) from error
