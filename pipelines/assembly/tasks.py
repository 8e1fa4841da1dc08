"""Commands as tasks: one after another here, or on the workers of a cluster."""

import ctypes
import functools
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from pipelines.assembly.cluster import connected, results
from pipelines.flags.cluster import Cluster

DEATH = 1  # the option of Linux's prctl for the signal that a parent's end sends


class Done(NamedTuple):
    """The end of a command: its status, what it printed, and the seconds that it took."""

    status: int
    output: str
    errors: str
    seconds: float


def done(
    tasks: Mapping[str, Sequence[str]], folder: Path, cluster: Cluster | None
) -> Iterator[tuple[str, Done]]:
    """Yields the name and the end of each command, as they end.

    tasks: the words of each command, by a name. folder: in which they run, of this machine and of
    the cluster's. A command whose worker is lost is begun again by another one.
    """
    if cluster is None:
        for name, words in tasks.items():
            yield name, run(words, folder)
        return
    with connected(cluster) as client:
        asked = functools.partial(run, folder=folder.resolve())
        words_of = {name: list(words) for name, words in tasks.items()}
        yield from results(client, asked, words_of, Done(1, "", "no worker survived it", 0.0))


def run(words: Sequence[str], folder: Path) -> Done:
    """Runs a command in a folder to its end; it ends with this process, however that ends."""
    began = time.monotonic()
    libc = ctypes.CDLL(None)
    result = subprocess.run(
        words,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: libc.prctl(DEATH, signal.SIGKILL) if hasattr(libc, "prctl") else None,
    )
    return Done(result.returncode, result.stdout, result.stderr, time.monotonic() - began)
