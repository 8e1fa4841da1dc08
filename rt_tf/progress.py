"""The interface by which long work shows its progress, and one that shows nothing."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Bar(Protocol):
    """A growing count of examples."""

    def advance(self, count: int, status: str) -> None:
        """Adds examples to the count. status: a few words on all records so far."""


class Progress(Protocol):
    """The place that shows the progress of reading or evaluating examples, such as a terminal."""

    def say(self, what: Any) -> None:
        """Shows a line, or a table of the rich library."""

    def bar(self, title: str, total: int, done: int) -> AbstractContextManager[Bar]:
        """Shows a count within a block. total: of examples; done: those that have records."""


class Silent:
    """Progress that is shown nowhere."""

    def say(self, what: Any) -> None:
        """Shows nothing."""

    @contextlib.contextmanager
    def bar(self, title: str, total: int, done: int) -> Iterator["Silent"]:
        """Shows nothing."""
        yield self

    def advance(self, count: int, status: str) -> None:
        """Shows nothing."""
