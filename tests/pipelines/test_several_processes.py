"""A run that several processes train: it ends as one process would end it, whatever is killed."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest

from benchmarks.together import placed
from pipelines.runs.directory import RunDirectory
from pipelines.runs.place import Place, here
from rt_tf.errors import UserError
from tests.pipelines.conftest import SMALL
from tests.processes import addresses, begun

CONFIG = '{"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": %s}'
LONG = 400  # seconds
AGAIN = 75
FLAGS = (*SMALL, "--epochs=12", "--checkpoint_seconds=0", "--monitor_every=10", "--deterministic")


@pytest.mark.parametrize(
    ("strategy", "environment", "place"),
    [
        ("auto", {}, (0, 1)),
        ("single", {"TF_CONFIG": "{}"}, (0, 1)),
        ("auto", {"TF_CONFIG": CONFIG % '{"type": "chief", "index": 0}'}, (0, 3)),
        ("multi_worker", {"TF_CONFIG": CONFIG % '{"type": "worker", "index": 1}'}, (2, 3)),
        ("auto", {"SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "4"}, (2, 4)),
        ("auto", {"SLURM_PROCID": "0"}, (0, 1)),
    ],
)
def test_the_environment_tells_the_place(
    strategy: str, environment: dict[str, str], place: tuple[int, int]
) -> None:
    assert here(strategy, environment) == Place(*place)


@pytest.mark.parametrize(
    ("environment", "words"),
    [
        ({}, "strategy: expected TF_CONFIG, or the variables of srun's tasks"),
        ({"TF_CONFIG": "{"}, "TF_CONFIG: expected .* received { "),
        ({"TF_CONFIG": "[]"}, "TF_CONFIG: expected"),
        ({"TF_CONFIG": CONFIG % '{"type": "ps", "index": 0}'}, "a chief or a worker, not 'ps'"),
        ({"TF_CONFIG": CONFIG % '{"type": "worker", "index": 2}'}, "there is no worker 2"),
    ],
)
def test_an_environment_without_a_place_is_refused(environment: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        here("multi_worker", environment)


def trainers(
    run: Path,
    data: Path,
    count: int = 2,
    others: tuple[str, ...] = (),
    hosts: dict[str, str] | None = None,
) -> list[subprocess.Popen[str]]:
    """The processes that train a run together. others: further flags of the last of them.

    hosts: the addresses of network namespaces, in each of which one process runs.
    """
    spaces = dict(hosts or {})
    workers = addresses(count, list(spaces.values()) or ["127.0.0.1"])
    befores = [("ip", "netns", "exec", space) for space in spaces] or [()] * count
    flags = [*FLAGS, f"--model_dir={run}", f"--data_dir={data}"]
    return [
        begun(
            "pipelines.train",
            [*flags, *(others if k == count - 1 else ())],
            placed(workers, k) if count > 1 else None,
            befores[k],
        )
        for k in range(count)
    ]


def ended(processes: list[subprocess.Popen[str]]) -> list[tuple[int, str]]:
    """The status and the error output of each process, without TensorFlow's own lines."""
    outputs = [process.communicate(timeout=LONG)[1] for process in processes]
    kept = [
        "\n".join(
            line for line in text.splitlines() if not line.startswith(("WARNING", "I0", "E0"))
        )
        for text in outputs
    ]
    return [(process.returncode, text) for process, text in zip(processes, kept, strict=True)]


def wait_for_steps(run: Path, least: int) -> None:
    """Waits until a run has a checkpoint of a later step."""
    until = time.monotonic() + LONG
    while time.monotonic() < until:
        names = [path.stem for path in (run / "checkpoints").glob("ckpt-*.index")]
        if any(int(name.split("-")[1]) >= least for name in names):
            return
        time.sleep(0.05)
    raise AssertionError("the run has taken no steps")


def weights(run: Path) -> list[np.ndarray]:
    """The weights that a run kept."""
    network = keras.models.load_model(run / "best" / "network.keras")
    return list(network.get_weights())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, digits_dir: Path) -> Path:
    """A run that two processes trained to its end."""
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    ends = ended(trainers(run, digits_dir))
    assert [status for status, _ in ends] == [0, 0], ends
    return run


@pytest.mark.slow
def test_two_processes_train_and_the_first_one_does_the_rest(
    undisturbed: Path, digits_dir: Path
) -> None:
    run = RunDirectory(undisturbed)
    assert set(run.done()) == {"train", "export", "certify", "attack", "report"}
    assert run.facts()["replicas"] == 2
    again = ended(trainers(undisturbed, digits_dir))
    assert [status for status, _ in again] == [0, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("worker", "number", "line"),
    [
        (1, signal.SIGTERM, "another worker was stopped"),
        (1, signal.SIGKILL, "was lost after step"),
        (0, signal.SIGKILL, "was lost after step"),
    ],
)
def test_all_end_with_one_and_go_on_together(
    undisturbed: Path, digits_dir: Path, tmp_path: Path, worker: int, number: int, line: str
) -> None:
    processes = trainers(tmp_path / "run", digits_dir)
    wait_for_steps(tmp_path / "run", 20)
    processes[worker].send_signal(number)
    ends = ended(processes)
    status, text = ends[1 - worker]
    assert status == AGAIN, ends
    assert line in text
    assert text.strip().count("\n") == 0
    assert ends[worker][0] == (AGAIN if number == signal.SIGTERM else -number)
    assert [status for status, _ in ended(trainers(tmp_path / "run", digits_dir))] == [0, 0]
    for ours, theirs in zip(weights(tmp_path / "run"), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_another_number_of_processes_goes_on(
    undisturbed: Path, digits_dir: Path, tmp_path: Path
) -> None:
    processes = trainers(tmp_path / "run", digits_dir)
    wait_for_steps(tmp_path / "run", 20)
    processes[0].send_signal(signal.SIGTERM)
    assert [status for status, _ in ended(processes)] == [AGAIN, AGAIN]
    assert [status for status, _ in ended(trainers(tmp_path / "run", digits_dir, count=1))] == [0]
    for ours, theirs in zip(weights(tmp_path / "run"), weights(undisturbed), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-3)


@pytest.mark.slow
def test_processes_with_other_flags_are_refused(digits_dir: Path, tmp_path: Path) -> None:
    ends = ended(trainers(tmp_path / "run", digits_dir, others=("--kappa=0.25",)))
    for status, text in ends:
        assert status == 2
        assert "expected the same flags and data in all processes" in text
    assert not (tmp_path / "run").exists()


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@pytest.fixture
def two_hosts() -> Iterator[dict[str, str]]:
    """The addresses of two network namespaces, joined by a link, by their names."""
    if shutil.which("ip") is None or os.geteuid():
        pytest.skip("expected root, and iproute2's ip, to make network namespaces")
    spaces = {f"rt_tf-{os.getpid()}-{k}": f"10.77.0.{k + 1}" for k in range(2)}
    ends = [f"rt{os.getpid() % 100000}x{k}" for k in range(2)]
    try:
        for space in spaces:
            ip("netns", "add", space)
        ip("link", "add", ends[0], "type", "veth", "peer", "name", ends[1])
        for end, (space, address) in zip(ends, spaces.items(), strict=True):
            ip("link", "set", end, "netns", space)
            ip("-n", space, "addr", "add", f"{address}/24", "dev", end)
            ip("-n", space, "link", "set", end, "up")
            ip("-n", space, "link", "set", "lo", "up")
    except subprocess.CalledProcessError as error:
        for space in spaces:
            subprocess.run(["ip", "netns", "del", space], check=False, capture_output=True)
        pytest.skip(f"expected a system that lets root make network namespaces: {error.stderr}")
    yield spaces
    for space in spaces:
        ip("netns", "del", space)


@pytest.mark.slow
def test_two_hosts_train_and_end_with_their_link(
    undisturbed: Path, digits_dir: Path, tmp_path: Path, two_hosts: dict[str, str]
) -> None:
    processes = trainers(tmp_path / "run", digits_dir, hosts=two_hosts)
    wait_for_steps(tmp_path / "run", 20)
    first = next(iter(two_hosts))
    link = (
        subprocess.run(
            ["ip", "-n", first, "-o", "link", "show", "type", "veth"],
            capture_output=True,
            text=True,
        )
        .stdout.split(": ")[1]
        .split("@")[0]
    )
    ip("-n", first, "link", "set", link, "down")
    for status, text in ended(processes):
        assert status == AGAIN, text
        assert "was lost after step" in text
        assert text.strip().count("\n") == 0
    ip("-n", first, "link", "set", link, "up")
    again = ended(trainers(tmp_path / "run", digits_dir, hosts=two_hosts))
    assert [status for status, _ in again] == [0, 0], again
    for ours, theirs in zip(weights(tmp_path / "run"), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(ours, theirs)
