"""The consoles of commands: text for people, or a line of JSON for every event.

A process prints in one form, which `--log_format` names.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

TEXT, JSON = "text", "json"
FORMS = (TEXT, JSON)


class Output:
    """The form of what this process prints, and the stage that it is at."""

    def __init__(self) -> None:
        self.form = TEXT
        self.stage = ""


OUTPUT = Output()


class Terminal(Console):
    """A console that shows text unchanged, as names may hold rich's markup or emoji."""

    def __init__(self, **options: Any) -> None:
        super().__init__(markup=False, emoji=False, highlight=False, **options)

    def on_broken_pipe(self) -> None:
        """Raises BrokenPipeError again, for `until_unread`: rich's own status is 1, a refusal's."""
        raise

    @property
    def draws(self) -> bool:
        """Whether bars can be drawn on it, which change as they grow."""
        return self.is_terminal

    def tell(self, event: str, *shown: Any, **facts: Any) -> None:
        """Prints the lines and tables of an event. facts: what they say, for programs."""
        for part in shown:
            self.print(part)


class JsonTerminal(Terminal):
    """A console whose lines are JSON objects with a time, a stage and an event."""

    @property
    def draws(self) -> bool:
        """False: all that is printed is lines."""
        return False

    def print(self, *objects: Any, sep: str = " ", **_: Any) -> None:
        """Writes texts as one message, and each table as its columns and rows."""
        texts = [str(part) for part in objects if not isinstance(part, Table)]
        if texts:
            self._write("message", {"text": sep.join(texts)})
        for part in objects:
            if isinstance(part, Table):
                self._write("table", _cells(part))

    def tell(self, event: str, *shown: Any, **facts: Any) -> None:
        """Writes an event with its facts, in place of what is shown to people."""
        self._write(event, facts)

    def _write(self, event: str, facts: Mapping[str, Any]) -> None:
        if self.quiet:
            return
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        row = {"time": now, "stage": OUTPUT.stage, "event": event, **facts}
        self.file.write(json.dumps(_plain(row)) + "\n")
        self.file.flush()


def _cells(table: Table) -> dict[str, Any]:
    """A table's title, the names of its columns, and its rows of texts."""
    return {
        "title": str(table.title or ""),
        "columns": [str(column.header) for column in table.columns],
        "rows": [
            list(row) for row in zip(*(map(str, c.cells) for c in table.columns), strict=True)
        ],
    }


def _plain(value: Any) -> Any:
    """A value as JSON has them: no numbers without a value, and texts for all that is neither."""
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, Text) or not hasattr(value, "__float__"):
        return str(value)
    return float(value) if math.isfinite(value) else None
