"""Runs that are killed, locked out, out of disk, or whose loss is lost."""

import os
import random
import re
import signal
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from tests.pipelines.conftest import command, finish, start


def weights(run: Path) -> list[np.ndarray]:
    import rt_tf.layers  # noqa: F401

    return keras.models.load_model(run / "best" / "network.keras").get_weights()


def wait_for(condition, seconds: float = 60.0) -> None:  # type: ignore[no-untyped-def]
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("kills", [1, 8])
def test_killed_runs_end_in_the_same_weights(
    tmp_path: Path, small: tuple[str, ...], kills: int
) -> None:
    """SIGKILL at random moments of training, then the same command to the end."""
    flags = (
        *small,
        "--deterministic",
        "--checkpoint_seconds=0.05",
        "--samples=5",
        "--curve=0",
        "--attack=pgd,none",
        "--attack_steps=2",
        "--bound=none,interval",
        "--kappa=0,0.5",
        "--epochs=3,3",
    )
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    assert command("train", *flags, f"--model_dir={undisturbed}").returncode == 0
    draw = random.Random(kills)
    for _ in range(kills):
        steps = max(_last_step(killed), 0)
        process = start("train", *flags, f"--model_dir={killed}")
        _kill_after_progress(process, killed, steps, draw.uniform(0.0, 0.4))
    result = command("train", *flags, f"--model_dir={killed}")
    assert result.returncode == 0, result.stderr
    assert "resuming after step" in result.stdout or "is finished" in result.stdout
    for ours, theirs in zip(weights(killed), weights(undisturbed), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def _kill_after_progress(process, run: Path, steps: int, seconds: float) -> None:  # type: ignore[no-untyped-def]
    wait_for(lambda: _last_step(run) > steps or process.poll() is not None)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def _last_step(run: Path) -> int:
    steps = [int(p.name[5:-6]) for p in (run / "checkpoints").glob("ckpt-*.index")]
    return max(steps, default=-1)


def test_a_second_run_on_the_same_directory_is_refused(
    tmp_path: Path, small: tuple[str, ...]
) -> None:
    flags = (*small, "--epochs=500", f"--model_dir={tmp_path / 'run'}")
    first = start("train", *flags)
    try:
        wait_for(lambda: (tmp_path / "run" / "flags.cfg").exists())
        second = command("train", *flags)
        assert second.returncode == 2
        assert f"is held by process {first.pid}" in second.stderr
    finally:
        first.send_signal(signal.SIGKILL)
        first.communicate()
    logs = len(list((tmp_path / "run").glob("logs/*")))
    resumed = start("train", *flags)  # a killed process holds nothing
    wait_for(lambda: len(list((tmp_path / "run").glob("logs/*"))) > logs)
    wait_for(lambda: "validation" in (tmp_path / "run" / "history.jsonl").read_text())
    resumed.send_signal(signal.SIGTERM)
    ended = finish(resumed)
    assert ended.returncode == 143
    assert ended.stderr == "terminated: the same command goes on from here\n"
    assert _last_step(tmp_path / "run") > 0


def test_a_corrupt_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, small: tuple[str, ...]
) -> None:
    run = tmp_path / "run"
    flags = (*small, "--epochs=400", "--checkpoint_seconds=0", f"--model_dir={run}")
    process = start("train", *flags)
    wait_for(lambda: len(list(run.glob("checkpoints/*.index"))) >= 3 or process.poll() is not None)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    newest = run / "checkpoints" / f"ckpt-{_last_step(run)}.data-00000-of-00001"
    data = newest.read_bytes()
    newest.write_bytes(data[: len(data) // 2])
    resumed = start("train", *flags)
    wait_for(
        lambda: _last_step(run) > int(newest.name[5:].split(".")[0]) or resumed.poll() is not None
    )
    resumed.send_signal(signal.SIGINT)
    ended = finish(resumed)
    assert ended.returncode == 130, ended.stderr
    assert re.search(
        r"checkpoint ckpt-\d+ cannot be read .*; going back to the one before", ended.stdout
    )
    assert re.search(r"resuming after step \d+", ended.stdout)


def test_a_full_disk_is_said_in_one_line(tmp_path: Path, small: tuple[str, ...]) -> None:
    """A limit on the size of files stands in for a full disk: writing fails likewise."""
    run = tmp_path / "run"
    arguments = " ".join([*small, f"--model_dir={run}"])
    process = start_limited(arguments, kib=60)
    assert process.returncode == 2, process.stderr
    assert process.stderr.startswith("error: disk: expected room to write")
    assert process.stderr.count("\n") == 1


@pytest.mark.slow
def test_a_run_goes_on_once_there_is_room(tmp_path: Path, small: tuple[str, ...]) -> None:
    run = tmp_path / "run"
    assert start_limited(" ".join([*small, f"--model_dir={run}"]), kib=60).returncode == 2
    resumed = command("train", *small, f"--model_dir={run}")
    assert resumed.returncode == 0, resumed.stderr


def start_limited(arguments: str, kib: int):  # type: ignore[no-untyped-def]
    import subprocess
    import sys

    script = f"ulimit -f {kib}; trap '' XFSZ; exec {sys.executable} -m pipelines.train {arguments}"
    return subprocess.run(
        ["bash", "-c", script],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
        env=dict(os.environ),
    )


@pytest.mark.parametrize("rate", ["1e30"])
def test_a_lost_loss_stops_training_and_says_where(
    tmp_path: Path, small: tuple[str, ...], rate: str
) -> None:
    run = tmp_path / "run"
    result = command("train", *small, f"--learning_rate={rate}", f"--model_dir={run}")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert re.search(
        r"(loss|weights of \S+): expected finite numbers; received \S+ at step \d+", result.stderr
    )
    assert "last good weights: checkpoints/ckpt-0" in result.stderr
