"""Signals that ask a command to end: those of Ctrl-C, `kill` and `docker stop`."""

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
    """A signal asks the process to end. status: the exit status that shells give it then."""

    def __init__(self, number: int) -> None:
        super().__init__(ENDINGS[signal.Signals(number)])
        self.status = 128 + number  # the status that shells give a process ended by a signal


class StartAgain(Interruption):
    """One of the processes that train together ends, and so do the others, to be started again."""

    status = 75  # EX_TEMPFAIL of sysexits.h: schedulers can be told to start such a task again

    def __init__(self, cause: str) -> None:
        KeyboardInterrupt.__init__(self, f"{cause}: start all workers again")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Makes signals that ask the process to end raise Interruption within the block.

    A signal that the process was started to ignore, as under `nohup`, stays ignored. A handler also
    makes a signal count for process 1 of a container, which has no default.
    """
    with _handling(_interrupt):
        yield


@contextlib.contextmanager
def deferred() -> Iterator[Callable[[], bool]]:
    """Defers a first signal to the end of the block.

    Yields a function that returns whether a signal waits, and the block is to stop. The signal is
    raised once the block is left, after a KeyboardInterrupt or at its end. A second signal is
    raised at once.
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
    taken = [number for number, earlier in before.items() if earlier is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])
