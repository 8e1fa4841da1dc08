"""Work in a process of its own, which a time limit ends at any point. Imports no TensorFlow.

Python cannot interrupt a computation of a library, nor do threads run beside one that holds the
interpreter's lock, as a parser or the tracing of a large network may.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple

from rt_tf.errors import UserError

GRACE = 1.0  # seconds for a killed process to be gone
STARTED = 19  # the word after the name in /proc/self/stat: the start, in clock ticks since boot
DAY = 86400.0  # seconds; the system's longest wait is 25 of them


class Ended(NamedTuple):
    """The end of work in a process: its result, the signal that ended it, or that it was late."""

    result: Any = None
    signal: str | None = None
    late: bool = False


def started() -> float:
    """The start of this process, as a moment of `time.monotonic`; estimated without Linux's /proc.

    On a busy machine an interpreter and its imports take seconds before a first line is run.
    """
    try:
        ticks = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()[STARTED]
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - int(ticks) / os.sysconf("SC_CLK_TCK")
    except (OSError, AttributeError, ValueError):
        age = time.process_time()
    return time.monotonic() - age


def until(end: float, work: Callable[..., Any], *arguments: Any) -> Ended:
    """Calls a function of a module in a process of its own, up to a moment of `time.monotonic`.

    A UserError of the function is raised here. For other errors the process prints a traceback, and
    this one exits with its status.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(theirs, work, arguments), daemon=True)
    process.start()
    theirs.close()
    try:
        return _awaited(process, ours, end)
    finally:
        process.kill()
        process.join(GRACE)


def _awaited(process: Any, results: Connection, end: float) -> Ended:
    while not wait([results], min(max(0.0, end - time.monotonic()), DAY)):
        if time.monotonic() >= end:
            return Ended(late=True)
    try:
        result = results.recv()
    except EOFError:
        process.join()
        if process.exitcode < 0:
            return Ended(signal=signal.Signals(-process.exitcode).name)
        raise SystemExit(process.exitcode) from None
    if isinstance(result, UserError):
        raise result
    return Ended(result)


def _report(results: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """Sends the result of work, in its process, which ignores Ctrl-C and ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    try:
        result = work(*arguments)
    except UserError as error:
        result = error
    results.send(result)


def end_with_parent() -> None:
    """Ends this process, from now on, once the one that started it is gone, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
