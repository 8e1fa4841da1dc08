"""What a process of its own is given to do: none of it imports TensorFlow."""

import ctypes
import os
import signal
import time
from pathlib import Path

from rt_tf.errors import UserError


def double(number: int) -> int:
    return 2 * number


def hold_the_lock(started: Path) -> None:
    """A minute in C, in which no other thread of Python runs."""
    started.write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(60)


def refuse() -> None:
    raise UserError("file: expected a file; received none")


def run_out_of_memory() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def divide_by(number: int) -> float:
    return 1.0 / number


def wait_without_end(started: Path) -> None:
    started.write_text(str(os.getpid()))
    time.sleep(60)
