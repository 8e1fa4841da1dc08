"""Progress on a terminal, or in a notebook."""

import contextlib
import importlib.util
from collections.abc import Iterator
from typing import Any, NamedTuple

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)


def progress_bars(on: Console) -> Progress:
    """Bars with a free text, a count and the remaining time; none where nobody would see them."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[status]}", markup=False),
        console=on,
        disable=on.quiet or not (on.is_terminal or _shows_widgets(on)),
    )


def _shows_widgets(on: Console) -> bool:
    """Whether a console is a notebook that can show bars, for which it needs ipywidgets."""
    return on.is_jupyter and importlib.util.find_spec("ipywidgets") is not None


class TerminalProgress:
    """The progress of an evaluation on a console (`rt_tf.progress`)."""

    def __init__(self, on: Console) -> None:
        self.on = on

    def say(self, what: Any) -> None:
        """Prints a line or a table."""
        self.on.print(what)

    @contextlib.contextmanager
    def bar(self, title: str, total: int, done: int) -> Iterator["TerminalBar"]:
        """Shows a bar of examples while its block runs."""
        with progress_bars(self.on) as bars:
            yield TerminalBar(bars, bars.add_task(title, total=total, completed=done, status=""))


class TerminalBar(NamedTuple):
    """A bar of examples on a terminal."""

    bars: Progress
    task: TaskID

    def advance(self, count: int, status: str) -> None:
        """Moves the bar by some examples, and shows the status beside it."""
        self.bars.update(self.task, advance=count, status=status)
