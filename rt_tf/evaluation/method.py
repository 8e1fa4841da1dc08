"""Ways to the records of examples, in this process or, by a recipe, in others."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

from rt_tf.records.record_file import Row


class Method(Protocol):
    """A way to the records of examples, such as ladders that give their verdicts at a radius."""

    @property
    def title(self) -> str:
        """The method in a few words, for the progress."""

    @property
    def recipe(self) -> "Recipe":
        """The recipe by which another process makes the method."""

    def rows(self, places: np.ndarray, examples: list[Row]) -> Iterable[Row]:
        """The records of the examples at places [n] of the test split, as they come.

        examples: the first fields of their records, see `Subject.examples`.
        """

    def begun(self, example: Row) -> Row | None:
        """The record of an example until the method has an outcome; None where none is needed.

        It is needed where records come in another order than their examples: without it, the
        records of a process that is killed would be those of the easy examples.
        """

    def status(self, rows: list[Row]) -> str:
        """A few words on all records so far, for the progress."""


class Recipe(NamedTuple):
    """A way to make a method in a process that has the subject; all of it can be pickled.

    tools: makes, of the subject, what methods at several radii share and what is slow to make.
    method: makes, of the subject and these tools, the method. at_once: the examples of a task.
    """

    tools: Callable[[Any], Any]
    method: Callable[[Any, Any], Method]
    at_once: int


class Engine(Protocol):
    """Other processes that answer examples, such as those of a cluster."""

    def answers(
        self, threat: Any, recipe: Recipe, places: Sequence[int], say: Callable[[str], None]
    ) -> Iterator[list[Row]]:
        """Yields the records of the examples at some places, as tasks end.

        threat: of the subject. say: shows a line on examples that no process could answer.
        """
