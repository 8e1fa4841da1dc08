"""Processes that train together on this machine."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]


def addresses(count: int, hosts: Sequence[str] = ("127.0.0.1",)) -> list[str]:
    """Addresses with ports that are free now, on the hosts in turn."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return [f"{hosts[k % len(hosts)]}:{port}" for k, port in enumerate(ports)]


def placed(workers: Sequence[str], number: int) -> dict[str, str]:
    """The environment of one of several workers."""
    task = {"type": "worker", "index": number}
    config = json.dumps({"cluster": {"worker": list(workers)}, "task": task})
    return {**os.environ, "TF_CONFIG": config, "COLUMNS": "160"}


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
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
