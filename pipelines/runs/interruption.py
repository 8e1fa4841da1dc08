"""Signals that ask a command to end: Ctrl-C, and what `kill` and `docker stop` send."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

ENDINGS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "its terminal was closed",
}


class Interruption(KeyboardInterrupt):
    """A signal has asked the process to end."""

    def __init__(self, number: int) -> None:
        super().__init__(ENDINGS[signal.Signals(number)])
        self.status = 128 + number  # as shells tell of a process that a signal ended


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Signals that ask the process to end raise Interruption within.

    One that the process was started to ignore, as `nohup` does, stays ignored. A handler also is
    what makes a signal count for process 1 of a container, which has no default.
    """
    with _handling(_interrupt):
        yield


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """What is within is not interrupted by a first signal, and learns whether there was one.

    Yields a function: whether to stop now. Once the block is left, after a KeyboardInterrupt or at
    its own end, the signal is raised. A second one is raised at once.
    """
    waiting: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if waiting:
            _interrupt(number, frame)
        waiting.append(number)

    try:
        with _handling(note):
            yield lambda: bool(waiting)
    except KeyboardInterrupt:
        if waiting:
            raise Interruption(waiting[0]) from None
        raise
    if waiting:
        raise Interruption(waiting[0])


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interruption(number)


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Hands the signals to a handler; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDINGS}
    taken = [number for number, own in before.items() if own is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
