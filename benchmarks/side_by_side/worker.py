"""The peer as a process that answers questions, a line of JSON each."""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from rt_tf.errors import UserError

SCRIPT = Path(__file__).with_name("peer.py")
EXPECTED = (
    "peer_python: expected the Python of an environment with torch and auto_LiRPA "
    "(python -m benchmarks.side_by_side --help)"
)
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Peer:
    """A process of the peer's Python, on the cores of this one, which ends with the context.

    python: a path. script: what it runs. UserError where the Python is not there, and where the
    process ends before it has answered, with the last line of its errors.
    """

    def __init__(self, python: str, script: Path = SCRIPT) -> None:
        if not shutil.which(python):
            raise UserError(f"{EXPECTED}; received '{python}'")
        self._errors = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 - closed in __exit__
        self._process = subprocess.Popen(
            [python, "-I", "-W", "ignore", str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env={**os.environ, **ONE_THREAD},
        )

    def ask(self, question: str, **details: Any) -> dict[str, Any]:
        """The answer to a question."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        answer = ""
        try:
            self._process.stdin.write(json.dumps({"ask": question, **details}) + "\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            pass  # it has ended
        if not answer:
            raise UserError(f"{EXPECTED}; it ended: {self._last_words()}")
        return json.loads(answer)

    def _last_words(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        return lines[-1] if lines else f"exit {code}"

    def __enter__(self) -> "Peer":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._errors.close()
