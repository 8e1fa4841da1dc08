"""Plants small faults, one at a time, and looks whether the quick tests find them.

    python -m benchmarks.planted_faults --count=100 --seed=1
    python -m benchmarks.planted_faults --table

Draws faults (another comparison, sign, constant, end of an interval, ...) from the rooms whose
mistakes would cost a certificate, the rooms in turn, and runs for each the quick tests that import
the file, those that do so directly first, until one fails. Works on a copy of the tree; each result
is kept as it ends in benchmarks/results/planted_faults.jsonl, and a series that is killed goes on.

A tool of its own: mutmut and cosmic-ray begin a process, or run every test in theirs, for each
fault; here the children of one process that has imported TensorFlow, but not used it, run the few
tests that matter.
"""

import argparse
import itertools
import json
import math
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.fault_tests import Suite
from benchmarks.faults import Fault, faults, planted
from pipelines.console import one_line_errors
from rt_tf.files import write_text

RESULTS = Path(__file__).parent / "results" / "planted_faults.jsonl"
ROOT = Path(__file__).resolve().parent.parent
COPIED = ("rt_tf", "pipelines", "benchmarks", "tests", "configs", "docs", "setup.cfg", "README.md")
REPORTED = ("radii", "counterexamples", "trials", "blessing", "statistics", "claim")
ROOMS = {  # folders and files
    "bounds": ["rt_tf/bounds"],
    "search": ["rt_tf/certification"],
    "checker": ["rt_tf/checker"],
    "records": ["rt_tf/records", "rt_tf/proofs", *(f"rt_tf/reporting/{f}.py" for f in REPORTED)],
    "attacks": ["rt_tf/attacks"],
    "training": ["rt_tf/training"],
}
LIMIT = 300  # CPU seconds of tests for a fault
ENDLESS = 100  # CPU seconds of one test, of which the longest takes a fifth: it does not end
PATIENCE = 4  # times the limit, on a clock: for tests that wait
ENDED = {0: "survived", 1: "found", 2: "found", 3: "found", 5: "no tests"}  # pytest's statuses
BROKEN = 70  # the exit status of a child that could not run the tests


def draw(room: str, seed: int) -> list[Fault]:
    """All faults of a room, in the order in which they are planted."""
    paths = [path for name in ROOMS[room] for path in _files(ROOT / name)]
    pool = [fault for path in paths for fault in faults(path, ROOT)]
    random.Random(f"{seed} {room}").shuffle(pool)
    return pool


def _files(place: Path) -> list[Path]:
    """The file itself, or all files of a folder and its folders that are more than a docstring."""
    files = sorted(place.glob("**/*.py")) if place.is_dir() else [place]
    return [path for path in files if path.name != "__init__.py"]


def series(rooms: list[str], seed: int) -> Iterator[tuple[str, Fault]]:
    """Yields (room, fault), the rooms in turn."""
    for faults_of_rooms in itertools.zip_longest(*(draw(room, seed) for room in rooms)):
        yield from ((r, f) for r, f in zip(rooms, faults_of_rooms, strict=True) if f is not None)


def run_fault(copy: Path, tests: Suite, fault: Fault, limit: int) -> dict[str, Any]:
    """Plants a fault and runs the tests of its file; returns how they ended. Restores the file."""
    path, began = copy / fault.path, time.monotonic()
    source = path.read_text()
    path.write_text(planted(source, fault))
    try:
        ended, by = _ended(copy, tests.of(fault.path), limit)
    finally:
        path.write_text(source)
    return {"ended": ended, "by": by, "seconds": round(time.monotonic() - began, 1)}


def _ended(copy: Path, files: list[str], limit: int) -> tuple[str, str]:
    """Runs tests in a process of their own; returns how they ended, and the test that failed."""
    log = copy / "planted.log"
    child = os.fork()
    if not child:
        _run_tests(copy, files, log, limit)
    try:
        return _waited(child, log, PATIENCE * limit)
    except KeyboardInterrupt:
        os.killpg(child, signal.SIGKILL)
        raise


def _waited(child: int, log: Path, patience: float) -> tuple[str, str]:
    until = time.monotonic() + patience
    while time.monotonic() < until:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            code = os.waitstatus_to_exitcode(status)
            if code in (-signal.SIGXCPU, -signal.SIGKILL):
                endless = _running(log).read_text()
                return ("found", endless) if endless else ("out of time", "")
            if code == BROKEN:
                raise RuntimeError(log.read_text())
            return ENDED.get(code, "found"), _failed(log) or f"exit status {code}"
        time.sleep(0.1)
    else:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
    return "out of time", ""


def _running(log: Path) -> Path:
    """The file that names the running test, if its CPU seconds end before those of all tests."""
    return log.with_suffix(".running")


class _Clock:
    """A plugin of pytest: a test has ENDLESS CPU seconds, or what is left of all."""

    def __init__(self, log: Path, limit: int) -> None:
        self.running, self.limit = _running(log), limit

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        end = math.ceil(time.process_time()) + ENDLESS
        self.running.write_text(nodeid if end < self.limit else "")
        resource.setrlimit(resource.RLIMIT_CPU, (min(end, self.limit), self.limit))


def _run_tests(copy: Path, files: list[str], log: Path, limit: int) -> None:
    """Runs tests in a child process, which ends with pytest's status."""
    try:
        os.setpgid(0, 0)
        _running(log).write_text("")
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        _move_to(copy)
        options = ["-n0", "-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-m", "not slow"]
        os._exit(int(pytest.main([*options, *files], [_Clock(log, limit)])))
    finally:
        os._exit(BROKEN)


def _move_to(copy: Path) -> None:
    """Makes this process import the project from the copy alone, and again where it has."""
    for name in [name for name in sys.modules if name.split(".")[0] in COPIED]:
        del sys.modules[name]
    sys.path[:] = [str(copy), *(p for p in sys.path if Path(p).resolve() != ROOT)]
    os.environ["PYTHONPATH"] = str(copy)
    os.chdir(copy)
    import rt_tf

    assert rt_tf.__file__ is not None
    assert Path(rt_tf.__file__).is_relative_to(copy), "the faults are planted elsewhere"


def _failed(log: Path) -> str:
    lines = [line for line in log.read_text().splitlines() if line.startswith(("FAILED", "ERROR"))]
    return lines[0].split(" ")[1].split(" - ")[0] if lines else ""


def tree_copied(folder: Path) -> Path:
    """Copies the files that tests need into a folder, which is returned."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)
    return folder


def table(rows: list[dict[str, Any]]) -> str:
    """The results as markdown: the numbers of faults planted and found by room; the survivors."""
    lines = ["| room | planted | found |", "|---|---|---|"]
    for room in ROOMS:
        of_room = [row for row in rows if row["room"] == room]
        lines.append(
            f"| {room} | {len(of_room)} | {Counter(row['ended'] for row in of_room)['found']} |"
        )
    count = sum(row["ended"] == "found" for row in rows)
    lines += [f"| all | {len(rows)} | {count} |", ""]
    left = [row for row in rows if row["ended"] != "found"]
    return "\n".join([*lines, *(f"{r['path']}:{r['line']}: {r['change']}" for r in left)])


def results() -> list[dict[str, Any]]:
    """The results of all faults so far."""
    return (
        [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []
    )


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--count", type=int, default=100, help="faults in all (default: 100)")
    parser.add_argument("--seed", type=int, default=0, help="of the drawn faults (default: 0)")
    parser.add_argument("--rooms", default=",".join(ROOMS), help="comma list (default: all)")
    parser.add_argument("--limit", type=int, default=LIMIT, help="CPU seconds for a fault")
    about = "plant those again that survived or were out of time"
    parser.add_argument("--again", action="store_true", help=about)
    parser.add_argument("--table", action="store_true", help="only print the results")
    arguments = parser.parse_args()
    if not arguments.table:
        with one_line_errors():
            run(arguments)
    for seed in sorted({row["seed"] for row in results()}):
        print(f"seed {seed}:", table([row for row in results() if row["seed"] == seed]), sep="\n\n")


def run(arguments: argparse.Namespace) -> None:
    """Plants the faults without a result, and with --again those that were not found."""
    _prepare()
    with tempfile.TemporaryDirectory(prefix="planted-") as scratch:
        copy = tree_copied(Path(scratch))
        tests = Suite(copy)
        for room, fault in itertools.islice(
            series(arguments.rooms.split(","), arguments.seed), arguments.count
        ):
            rows = results()
            drawn_fault = {"seed": arguments.seed, "room": room, **fault._asdict()}
            before = next((r for r in rows if drawn_fault.items() <= r.items()), None)
            if before and not (arguments.again and before["ended"] != "found"):
                continue
            row = {**drawn_fault, **run_fault(copy, tests, fault, arguments.limit)}
            rows = [r for r in rows if r is not before]
            write_text(RESULTS, "".join(json.dumps(r) + "\n" for r in [*rows, row]))
            print(f"{row['ended']:12s}{fault.path}:{fault.line}: {fault.change}", flush=True)


def _prepare() -> None:
    """Imports modules that are slow to import; TensorFlow starts no threads until it is used."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.dont_write_bytecode = True
    import hypothesis  # noqa: F401
    import keras  # noqa: F401
    import scipy.optimize  # noqa: F401
    import tensorflow as tf  # noqa: F401
    import tensorflow_datasets as tfds  # noqa: F401


if __name__ == "__main__":
    main()
