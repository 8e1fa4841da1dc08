"""The calls of the project's commands, for hints that can be pasted into a shell."""

import sys
from pathlib import Path

SCRIPT = "rt-tf"


def called(command: str) -> str:
    """The call of a command, in the way by which this process was begun.

    It is `rt-tf certify` in a process of that script, and `python -m pipelines.certify` elsewhere,
    which needs no script.
    """
    by_script = Path(sys.argv[0]).name == SCRIPT
    return f"{SCRIPT} {command}" if by_script else f"python -m pipelines.{command}"
