"""Errors that are the user's to mend: one line, no traceback at the command line."""


class UserError(ValueError):
    """Bad input: the message says what was expected, what was received and what exists."""
