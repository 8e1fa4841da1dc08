"""Work that a cluster of Dask shares: the records of one process, but for times."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import distributed
import numpy as np
import pytest

from pipelines.assembly import tasks
from pipelines.flags.cluster import Cluster, cluster
from pipelines.stages import elsewhere, instances, session
from rt_tf.errors import UserError
from rt_tf.records import merge
from tests.interchange.files import dense_relu, vnnlib
from tests.pipelines.conftest import command, parsed, run, start
from tests.pipelines.runs.test_interruption import wait_for

EPS = 0.03
SAMPLES = 25
ABSOLUTE = ([[[1, -1], [-1, 1]], [[1, 1]]], [[0, 0], [0]])


@pytest.fixture
def copies(finished: Path, tmp_path: Path) -> tuple[Path, Path]:
    return tuple(shutil.copytree(finished, tmp_path / name) for name in ("here", "there"))


@pytest.fixture
def in_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[distributed.Client]:
    """A cluster whose workers are threads of this process, in the place of any other."""
    elsewhere._subject.cache_clear()
    elsewhere._tools.cache_clear()
    with distributed.Client(
        processes=False, n_workers=2, threads_per_worker=1, dashboard_address=None
    ) as client:

        class Connected:
            def __init__(self, _: Any) -> None: ...

            def __enter__(self) -> distributed.Client:
                return client

            def __exit__(self, *_: Any) -> None: ...

        monkeypatch.setattr(session, "connected", Connected)
        yield client


def usual(folder: Path, *arguments: str) -> list[str]:
    words = [f"--model_dir={folder}", f"--epsilon={EPS}", f"--samples={SAMPLES}", "--quiet"]
    return [*words, *arguments]


def same(ours: Any, theirs: Any) -> bool:
    """Whether values of records are equal but for times, and for rounding of other batches."""
    if isinstance(ours, dict):
        return set(ours) == set(theirs) and all(
            same(value, theirs[name])
            for name, value in ours.items()
            if name not in ("seconds", "sha256")
        )
    if isinstance(ours, list):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, float):
        return bool(np.isclose(ours, theirs, rtol=1e-4, atol=1e-5))
    return ours == theirs


def assert_same(one: Path, other: Path, name: str) -> None:
    """Asserts that two runs have the same header and rows in a file of records."""
    tables = [merge.read(run / "records" / name) for run in (one, other)]
    assert tables[0][0] == tables[1][0]
    ours, theirs = ({row["index"]: row for row in rows} for _, rows in tables)
    assert len(ours) == SAMPLES
    assert same(ours, theirs)


QUESTIONS = {
    "certify": (("--rungs=interval,crown",), f"linf-{EPS}/certify.jsonl"),
    "evaluate": (("--eval_steps=3", "--eval_restarts=1"), f"linf-{EPS}/attack-pgd-3x1-odds.jsonl"),
    "radius": ((), "radius-linf.jsonl"),
}


@pytest.mark.parametrize(
    "module",
    ["certify", *(pytest.param(name, marks=pytest.mark.slow) for name in ("evaluate", "radius"))],
)
def test_records_are_those_of_one_process(
    module: str, copies: tuple[Path, Path], in_threads: distributed.Client
) -> None:
    flags, name = QUESTIONS[module]
    here, there = copies
    run(module, *usual(here, *flags))
    run(module, *usual(there, *flags, "--cluster=local:2"))
    assert_same(here, there, name)


def test_an_example_that_no_worker_survives_is_named(
    copies: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The others of its task have their records; it is unknown, and is tried again later."""

    class Killing:
        def submit(self, function: Any, places: list[int], pure: bool) -> "Killing":
            future = Killing()
            future.places, future.function = places, function
            return future

        def result(self) -> Any:
            if 3 in self.places:
                raise distributed.KilledWorker("task", None, 4)
            return self.function(self.places)

        def cancel(self, *_: Any, **__: Any) -> None: ...

        def __enter__(self) -> "Killing":
            return self

        def __exit__(self, *_: Any) -> None: ...

    monkeypatch.setattr(session, "connected", lambda _: Killing())
    monkeypatch.setattr(distributed, "as_completed", iter)
    said: list[str] = []
    monkeypatch.setattr("pipelines.progress.ConsoleProgress.say", lambda _, line: said.append(line))
    folder = copies[0]
    run("certify", *usual(folder, "--rungs=crown", "--cluster=local:2"))
    file = folder / f"records/linf-{EPS}/certify.jsonl"
    rows = {row["index"]: row for row in merge.read(file)[1]}
    assert rows[3]["verdict"] == "unknown"
    assert sum(row["verdict"] != "unknown" for row in rows.values()) >= SAMPLES - 8
    assert [line for line in said if line == "workers did not survive 1 examples: 3"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("local:3", Cluster("local", 3)),
        ("slurm:8", Cluster("slurm", 8)),
        ("tcp://there:8786", Cluster("tcp://there:8786")),
    ],
)
def test_a_cluster_is_named_in_a_word(text: str, expected: Cluster) -> None:
    assert cluster(text) == expected


@pytest.mark.parametrize("text", ["local", "local:0", "slurm:x", "there:8786", "tcp://there", ""])
def test_other_words_are_no_cluster(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        cluster(text)


def test_the_flag_says_what_it_expects() -> None:
    result = command("certify", "--model_dir=x", "--cluster=there")
    assert result.returncode == 2
    assert (
        "--cluster=there: expected local:<processes>, slurm:<jobs> or a scheduler's"
        in result.stderr
    )


def test_a_scheduler_that_is_not_there_is_refused(
    copies: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.assembly.cluster.WAIT", 1.0)
    with pytest.raises(UserError, match="cluster: expected a scheduler with workers at tcp://127"):
        run("certify", *usual(copies[0], "--cluster=tcp://127.0.0.1:9"))
    values = parsed("certify", "--model_dir=run", "--cluster=tcp://127.0.0.1:9")
    assert values.cluster == Cluster("tcp://127.0.0.1:9")


def test_commands_are_tasks(tmp_path: Path) -> None:
    words = {"good": [sys.executable, "-c", "print(1)"], "bad": [sys.executable, "-c", "boom"]}
    ends = dict(tasks.done(words, tmp_path, None))
    assert ends["good"][:2] == (0, "1\n")
    assert ends["bad"].status == 1
    assert "NameError" in ends["bad"].errors


def test_a_command_ends_with_its_worker(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    sleep = f"import os, time; open('{pid}', 'w').write(str(os.getpid())); time.sleep(60)"
    words = [sys.executable, "-c", sleep]
    code = f"from pipelines.assembly.tasks import run; import pathlib; run({words}, pathlib.Path())"
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    wait_for(lambda: pid.exists() and pid.read_text())
    worker.kill()
    worker.wait()
    wait_for(lambda: not Path(f"/proc/{pid.read_text()}").exists())


def listed(folder: Path) -> Path:
    """A list of two properties of |x_0 - x_1|, which can be as large as 4/5: one holds."""
    network = dense_relu(folder / "net.onnx", *ABSOLUTE)
    rows = []
    for number in ("0.9", "0.7"):
        (folder / number).mkdir()
        asked = f"(assert (>= Y_0 {number}))"
        file = vnnlib(folder / number / "p.vnnlib", ("0.1", "0.3"), ("0.2", "0.9"), 1, asked)
        rows.append([network.name, f"{number}/{file.name}", "60"])
    with (folder / "list.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder / "list.csv"


@pytest.mark.slow
def test_a_list_of_properties_is_decided_and_goes_on(tmp_path: Path) -> None:
    names = [f"--instances={listed(tmp_path)}", f"--results_file={tmp_path}/answers.jsonl"]
    result = command("verify", *names, "--cluster=local:2")
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "2 of 2: 1 sat, 1 unsat"
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()
    answers = {json.loads(line)["instance"]: json.loads(line)["answer"] for line in lines}
    assert {Path(name).parent.name: answer for name, answer in answers.items()} == {
        "0.9": "unsat",
        "0.7": "sat",
    }
    (tmp_path / "answers.jsonl").write_text(lines[0] + "\n" + lines[1][:20])  # killed in a line
    again = command("verify", *names)
    assert again.stdout.count(": unsat (") + again.stdout.count(": sat (") == 1
    assert again.stdout.splitlines()[-1] == "2 of 2: 1 sat, 1 unsat"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at least one line"),
        ("a.onnx,b.vnnlib\n", "in line 1 of .*received a.onnx,b.vnnlib "),
        ("net.onnx,p,x\n", "there is no file"),
    ],
)
def test_a_list_that_is_none_is_refused(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        instances.read(tmp_path / "list.csv")


@pytest.fixture
def by_hand(tmp_path: Path) -> Iterator[tuple[str, list[subprocess.Popen[str]]]]:
    """A scheduler and two workers that were started by hand: its address, and the workers."""
    file = tmp_path / "scheduler.json"
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}

    def started(*words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
            env=environment,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    scheduler = started(
        "scheduler", "--host=127.0.0.1", "--port=0", "--no-dashboard", f"--scheduler-file={file}"
    )
    wait_for(file.exists)
    options = [f"--scheduler-file={file}", "--nthreads=1", "--no-dashboard", "--no-nanny"]
    options += [f"--local-directory={tmp_path}", "--memory-limit=0"]
    workers = [started("worker", *options) for _ in range(2)]
    try:
        yield json.loads(file.read_text())["address"], workers
    finally:
        for process in (scheduler, *workers):
            process.kill()
            process.wait()


@pytest.mark.slow
def test_a_killed_worker_changes_nothing(
    copies: tuple[Path, Path], by_hand: tuple[str, list[subprocess.Popen[str]]]
) -> None:
    flags, name = ("--rungs=interval,crown,branch_and_bound",), QUESTIONS["certify"][1]
    here, there = copies
    run("certify", *usual(here, *flags))
    address, workers = by_hand
    process = start("certify", *usual(there, *flags, f"--cluster={address}"))
    records = there / "records" / name
    wait_for(lambda: records.exists() and records.read_text().count("\n") > SAMPLES)
    time.sleep(0.5)
    workers[0].send_signal(signal.SIGKILL)
    errors = process.communicate(timeout=200)[1]
    assert process.returncode == 0, errors
    assert_same(here, there, name)
