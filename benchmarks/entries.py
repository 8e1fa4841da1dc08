"""The entries of a campaign: trainings of a list, and the state of each.

A list is a JSON file of `{"system", "seed", "hours"}`: a flag file's name below `configs/`, a seed,
and the CPU hours that training, certification and attacks may take together. A campaign keeps, in
its folder of runs, each entry's run (`<system>-seed<seed>/`), its output (`.log`), its account
(`.json`: the CPU hours spent, and how it ended where it did not end well) and its lock (`.lock`).
"""

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from benchmarks.systems import place
from pipelines.flags.flag_files import CONFIGS
from pipelines.runs.locks import Lock, is_free
from rt_tf.errors import UserError
from rt_tf.files import write_text

FIELDS = {"system": str, "seed": int, "hours": int | float}


class Entry(NamedTuple):
    """A training of a list. hours: the CPU hours it may take."""

    system: str
    seed: int
    hours: float

    @property
    def name(self) -> str:
        """The name of the entry's files."""
        return f"{self.system}-seed{self.seed}"


class Folder(NamedTuple):
    """The folders of a campaign. runs: of the entries' files; results: of their results."""

    runs: Path
    results: Path

    def run(self, entry: Entry) -> Path:
        """The run directory of an entry."""
        return self.runs / entry.name

    def log(self, entry: Entry) -> Path:
        """The file of the output of an entry's run."""
        return self.runs / f"{entry.name}.log"

    def result(self, entry: Entry) -> Path:
        """The file of an entry's result, which exists once the entry is done."""
        return place(entry.system, entry.seed, self.results)

    def spent(self, entry: Entry) -> float:
        """The CPU hours that an entry has spent."""
        return float(self._account(entry).get("hours", 0.0))

    def note(self, entry: Entry, hours: float, ended: str = "") -> None:
        """Writes an entry's account: the CPU hours spent, and how it ended if it failed."""
        write_text(self._path(entry), json.dumps({"hours": hours, "ended": ended}) + "\n")

    def left(self, entry: Entry) -> float:
        """The CPU hours of an entry's budget that are not spent; 0 once the entry is done."""
        done = self.result(entry).exists()
        return 0.0 if done else max(0.0, entry.hours - self.spent(entry))

    @contextlib.contextmanager
    def locked(self, entry: Entry) -> Iterator[TextIO | None]:
        """Holds an entry; None where another process does.

        A process that inherits the file holds the entry, too, since a training outlives a campaign
        that is killed.
        """
        path = self._lock(entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a") as file:
            yield file if _takes(file) else None

    def state(self, entry: Entry) -> str:
        """The state of an entry: done, running, over budget, failed, stopped or waiting."""
        states = {
            "done": self.result(entry).exists(),
            "running": not is_free(self._lock(entry)),
            "over budget": not self.left(entry),
            "failed": bool(self._account(entry).get("ended")),
            "stopped": self.spent(entry) > 0.0,
        }
        return next((name for name, is_so in states.items() if is_so), "waiting")

    def _lock(self, entry: Entry) -> Path:
        return self.runs / f"{entry.name}.lock"

    def _account(self, entry: Entry) -> dict[str, Any]:
        path = self._path(entry)
        return json.loads(path.read_text()) if path.exists() else {}

    def _path(self, entry: Entry) -> Path:
        return self.runs / f"{entry.name}.json"


def _takes(file: TextIO) -> bool:
    """Takes a lock; returns whether it could, after retries, since `state` holds it for moments."""
    for _ in range(5):
        if Lock(file).take():
            return True
        time.sleep(0.1)
    return False


def read(path: Path) -> list[Entry]:
    """The entries of a list; UserError for a file that is none."""
    try:
        rows = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"list: expected a JSON list in {path}; {error}") from None
    if not isinstance(rows, list):
        raise UserError(f"list: expected a JSON list in {path}; received {type(rows).__name__}")
    entries = [_entry(row) for row in rows]
    if len({entry.name for entry in entries}) < len(entries):
        raise UserError(f"list: expected every system and seed once in {path}")
    return entries


def _entry(row: Any) -> Entry:
    whole = isinstance(row, dict) and row.keys() == FIELDS.keys()
    if not (whole and all(isinstance(row[name], kind) for name, kind in FIELDS.items())):
        raise UserError(f'list: expected {{"system", "seed", "hours"}} in each row; received {row}')
    entry = Entry(**row)
    if not (CONFIGS / f"{entry.system}.cfg").exists():
        raise UserError(f"list: expected a flag file below {CONFIGS}; received {entry.system}")
    if entry.seed < 0 or not 0 < entry.hours < float("inf"):
        raise UserError(f"list: expected a seed >= 0 and hours > 0; received {row}")
    return entry
