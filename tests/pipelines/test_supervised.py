"""Work in a process of its own: what comes of it, and that time ends it."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.runs.supervised import Ended, until
from rt_tf.errors import UserError
from tests.pipelines import works


def soon(seconds: float = 60.0) -> float:
    return time.monotonic() + seconds


def wait_for(condition: Callable[[], Any], seconds: float = 20.0) -> None:
    end = soon(seconds)
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def is_running(process: int) -> bool:
    """Neither gone nor a zombie that no one has asked about yet."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rsplit(")", 1)[1].split()[0] != "Z"


def test_the_start_of_a_process_is_before_its_first_line() -> None:
    """Of one that waits before it asks: it lies between two moments that are measured here."""
    line = "import time; time.sleep(0.5); "
    line += "from pipelines.runs.supervised import started; print(started())"
    before = time.monotonic()
    process = subprocess.run(
        [sys.executable, "-c", line], cwd=Path(__file__).parents[2], capture_output=True, check=True
    )
    assert before - 0.05 < float(process.stdout) < time.monotonic() - 0.5


def test_a_result_comes_back() -> None:
    assert until(soon(), works.double, 21) == Ended(result=42)


def test_time_ends_what_holds_the_interpreter(tmp_path: Path) -> None:
    """The process is gone, and no one has waited for it."""
    began = time.monotonic()
    assert until(soon(3.0), works.hold_the_lock, tmp_path / "started") == Ended(late=True)
    assert 3.0 <= time.monotonic() - began < 4.5
    assert not is_running(int((tmp_path / "started").read_text()))


def test_a_users_mistake_is_raised_here() -> None:
    with pytest.raises(UserError, match="file: expected a file; received none"):
        until(soon(), works.refuse)


def test_a_process_that_is_killed_is_told_by_its_signal() -> None:
    assert until(soon(), works.run_out_of_memory) == Ended(signal="SIGKILL")


def test_our_mistake_keeps_its_traceback(capfd) -> None:
    with pytest.raises(SystemExit) as caught:
        until(soon(), works.divide_by, 0)
    assert caught.value.code == 1
    assert "ZeroDivisionError" in capfd.readouterr().err


def test_the_work_ends_with_who_asked_for_it(tmp_path: Path) -> None:
    """Even by SIGKILL, which no one can answer."""
    started = tmp_path / "started"
    line = "import sys, pathlib; from pipelines.runs.supervised import until; from tests.pipelines "
    line += "import works; until(1e9, works.wait_without_end, pathlib.Path(sys.argv[1]))"
    root = Path(__file__).parents[2]
    asking = subprocess.Popen([sys.executable, "-c", line, str(started)], cwd=root)
    wait_for(lambda: started.exists() and started.read_text())
    asking.kill()
    asking.wait()
    wait_for(lambda: not is_running(int(started.read_text())))
