"""Errors that are the user's to mend: one line, no traceback at the command line."""

from collections.abc import Iterable


class UserError(ValueError):
    """Bad input: the message says what was expected, what was received and what exists."""


def refuse_unknown(name: str, received: object, known: Iterable[str]) -> None:
    """Raises UserError for anything but one of the known names. name: of the setting."""
    names = tuple(known)
    if received not in names:
        raise UserError(f"{name}: expected one of {', '.join(names)}; received '{received}'")
