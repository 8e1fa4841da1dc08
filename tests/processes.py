"""Processes that train together on this machine."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.together import free_ports

ROOT = Path(__file__).parents[1]


def addresses(count: int, hosts: Sequence[str] = ("127.0.0.1",)) -> list[str]:
    """Addresses with ports that are free now, on the hosts in turn."""
    return [f"{hosts[k % len(hosts)]}:{port}" for k, port in enumerate(free_ports(count))]


def begun(
    module: str,
    arguments: Sequence[str],
    environment: dict[str, str] | None = None,
    before: Sequence[str] = (),
) -> subprocess.Popen[str]:
    """A process of a module, which reads its standard input. before: words before the command."""
    return subprocess.Popen(
        [*before, sys.executable, "-m", module, *arguments],
        cwd=ROOT,
        env=(environment or dict(os.environ)) | {"TF_CPP_MIN_LOG_LEVEL": "3"},  # as commands do
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
