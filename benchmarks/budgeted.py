"""A command on one core at the lowest priority, within a budget of CPU seconds."""

import contextlib
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from rt_tf.errors import UserError

BEAT = 30.0  # seconds between two reports of the time spent
GRACE = 30  # CPU seconds between the signal at a budget's end and the one that cannot be ignored
ONE_THREAD = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
OVER = (-signal.SIGXCPU, 128 + signal.SIGXCPU)  # exit statuses: of the process, and of a shell


def pin(core: int) -> None:
    """Binds this process, and those it will start, to a core; UserError for one it cannot have."""
    usable = os.sched_getaffinity(0)
    if core not in usable:
        raise UserError(f"core: expected one of {sorted(usable)}; received {core}")
    os.sched_setaffinity(0, {core})
    os.setpriority(os.PRIO_PROCESS, 0, 19)


def run(
    command: Sequence[str],
    folder: Path,
    log: Path,
    seconds: float,
    holding: TextIO,
    report: Callable[[float], None],
) -> int:
    """Runs a command in a folder with one thread; returns its exit status, below 0 for a signal.

    log: the file of its output. seconds: of CPU, after which the kernel ends it. holding: an open
    file, a lock, that it inherits. report: is called with the CPU seconds spent, every BEAT seconds
    and at the end. If this process is interrupted, the command is ended, too.
    """
    before = _children()
    limits = (max(1, round(seconds)), max(1, round(seconds)) + GRACE)
    with log.open("a") as output:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, **dict.fromkeys(ONE_THREAD, "1")},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[holding.fileno()],
            process_group=0,  # an interruption reaches it once, through this process
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, limits),
        )
    try:
        while child.poll() is None:
            report(_children() - before + _running(child.pid))
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(BEAT)
    finally:
        child.terminate()  # without effect, where it has ended
        status = child.wait()
        report(_children() - before)
    return status


def _children() -> float:
    """CPU seconds of the processes that this one has started and seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _running(pid: int) -> float:
    """CPU seconds of a process so far; 0 where it has gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
