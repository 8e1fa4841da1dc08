"""Files that do not have the form of docs/proofs.md: one line, no traceback at the command line."""

from collections.abc import Iterable
from typing import Any

MOST = 1e30  # of a number that is no weight


class MalformedError(ValueError):
    """A file cannot be checked: what was expected, and what was received."""


def require(condition: bool, where: str, expected: str, received: Any) -> None:
    """Raises MalformedError unless the condition holds."""
    if not condition:
        text = " ".join(str(received).split())
        raise MalformedError(f"{where}: expected {expected}; received {text[:200]}")


def field(record: Any, name: str, kind: type, where: str) -> Any:
    """A field of a JSON object, of one kind: bool is no int, and an int is a float."""
    require(isinstance(record, dict) and name in record, where, f"the field '{name}'", record)
    value = record[name]
    kinds = (int, float) if kind is float else (kind,)
    alike = isinstance(value, kinds) and not (isinstance(value, bool) and kind is not bool)
    require(alike, where, f"'{name}' to be {kind.__name__}", repr(value))
    require(kind is not str or value.isprintable(), where, f"'{name}' to be one line", repr(value))
    fits = kind is not float or abs(value) <= MOST
    require(fits, where, f"'{name}' to be at most {MOST:g}", "more")
    return float(value) if kind is float else value


def choice(record: Any, name: str, choices: Iterable[str], where: str) -> str:
    """A field that is one of some words."""
    value, words = field(record, name, str, where), list(choices)
    require(value in words, where, f"'{name}' to be one of {', '.join(words)}", repr(value))
    return value


def only(record: dict[str, Any], names: Iterable[str], where: str) -> None:
    """Raises MalformedError if a JSON object has fields that mean nothing."""
    unknown = sorted(set(record) - set(names))
    require(not unknown, where, f"no fields but {', '.join(sorted(names))}", unknown)
