"""How an evaluation tells of itself while it runs."""

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol


class Bar(Protocol):
    """A count of examples that grows."""

    def advance(self, count: int, status: str) -> None:
        """So many more examples are done; status: what is known of all that are."""


class Progress(Protocol):
    """Where an evaluation says what it does."""

    def say(self, what: Any) -> None:
        """Shows a line, or a table of the rich library."""

    def bar(self, title: str, total: int, done: int) -> AbstractContextManager[Bar]:
        """Shows a count while its block runs: of `total` examples, `done` were there before."""


class Silent:
    """Progress that nobody looks at."""

    def say(self, what: Any) -> None:
        """Says nothing."""

    @contextlib.contextmanager
    def bar(self, title: str, total: int, done: int) -> Iterator["Silent"]:
        """Shows nothing."""
        yield self

    def advance(self, count: int, status: str) -> None:
        """Shows nothing."""
