"""Counts that grow while a command works: bars on a terminal, a line now and then elsewhere."""

import contextlib
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

from rich.progress import Progress, TaskID

from pipelines.output import Terminal
from rt_tf.evaluation.terminal import progress_bars
from rt_tf.reporting.formats import duration

EVERY = 10.0  # seconds between two lines


class Count(Protocol):
    """A count of steps or examples up to their number."""

    def begin(self, done: int) -> None:
        """Sets the count where earlier work has left it."""

    def reach(self, done: int, status: str, **numbers: float) -> None:
        """Sets the count. status: a few words; numbers: what they say, for programs."""

    def advance(self, count: int, status: str) -> None:
        """Adds to the count."""


@contextlib.contextmanager
def shown_count(
    on: Terminal, title: str, total: int, done: int = 0, images: int | None = None
) -> Iterator[Count]:
    """Shows a count while its block runs.

    images: that a step takes, for a count of steps; None for one of images, whose status has their
    pace.
    """
    if on.draws:
        with progress_bars(on) as bars:
            yield BarCount(bars, bars.add_task(title, total=total, completed=done, status=""))
    else:
        lines = LineCount(on, title, total, done, images)
        try:
            yield lines
        finally:
            lines.end()


class BarCount:
    """A bar on a terminal."""

    def __init__(self, bars: Progress, task: TaskID) -> None:
        self.bars = bars
        self.task = task

    def begin(self, done: int) -> None:
        self.bars.update(self.task, completed=done)

    def reach(self, done: int, status: str, **numbers: float) -> None:
        self.bars.update(self.task, completed=done, status=status)

    def advance(self, count: int, status: str) -> None:
        self.bars.update(self.task, advance=count, status=status)


class LineCount:
    """A count that prints a line every few seconds, and one at its end."""

    def __init__(self, on: Terminal, title: str, total: int, done: int, images: int | None) -> None:
        self.on, self.title, self.total, self.images = on, title, total, images
        self.status, self.numbers = "", dict[str, float]()
        self.begin(done)

    def begin(self, done: int) -> None:
        self.first = self.done = self.printed = done
        self.began = self.last = time.monotonic()

    def reach(self, done: int, status: str, **numbers: float) -> None:
        self.done, self.status, self.numbers = done, status, numbers
        if time.monotonic() - self.last >= EVERY:
            self._print()

    def advance(self, count: int, status: str) -> None:
        self.reach(self.done + count, status)

    def end(self) -> None:
        """Prints the last count, if it is not printed already."""
        if self.done != self.printed:
            self._print()

    def _print(self) -> None:
        self.last, self.printed = time.monotonic(), self.done
        seconds = max(self.last - self.began, 1e-3)
        pace = (self.done - self.first) / seconds
        left = (self.total - self.done) / pace if pace else None
        self.on.tell(
            "progress",
            self._line(seconds, pace, left),
            title=self.title,
            done=self.done,
            total=self.total,
            images_per_second=pace * (self.images or 1),
            seconds_left=left,
            status=self.status,
            **self.numbers,
        )

    def _line(self, seconds: float, pace: float, left: float | None) -> str:
        """The count in words. pace: steps a second."""
        ended = self.done >= self.total
        words = [
            f"{self.title}: {self.done:,} of {self.total:,}",
            f"in {duration(seconds)}" if ended else f"{duration(left)} left",
            *([f"{pace * self.images:,.0f} images/s"] if self.images else []),
            *([self.status] if self.status else []),
        ]
        return "; ".join(words)


class ConsoleProgress:
    """The progress of an evaluation on a command's console (`rt_tf.progress`)."""

    def __init__(self, on: Terminal) -> None:
        self.on = on

    def say(self, what: Any) -> None:
        """Prints a line or a table."""
        self.on.print(what)

    def bar(self, title: str, total: int, done: int) -> AbstractContextManager[Count]:
        """Shows a count of examples."""
        return shown_count(self.on, title, total, done)
