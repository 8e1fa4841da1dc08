"""A run, and each part of it, is held by one process at a time."""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from pipelines.runs.directory import RunDirectory
from rt_tf.errors import UserError

WORKERS, ROUNDS = 4, 150
Holding = Callable[[], AbstractContextManager]


def held_at_once(makers: list[Holding]) -> tuple[int, int]:
    """The most workers that held it at any moment, and how often it was held."""
    start, count = threading.Barrier(len(makers), timeout=30), threading.Lock()
    now, most, times = 0, 0, 0

    def work(hold: Holding) -> None:
        nonlocal now, most, times
        for _ in range(ROUNDS):
            start.wait()
            try:
                with hold():
                    with count:
                        now += 1
                        times += 1
                        most = max(most, now)
                    with count:
                        now -= 1
            except UserError:
                continue

    workers = [threading.Thread(target=work, args=(hold,)) for hold in makers]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return most, times


def run(path: Path) -> RunDirectory:
    """A directory of its own for every worker, as every process has."""
    return RunDirectory(path)


def test_one_part_is_held_by_one_process(tmp_path: Path) -> None:
    part = lambda: run(tmp_path).holding("1of2")  # noqa: E731
    most, times = held_at_once([part] * WORKERS)
    assert most == 1
    assert times >= ROUNDS / 2
    assert not list(tmp_path.glob("lock-*"))


def test_different_numbers_of_parts_are_not_held_at_once(tmp_path: Path) -> None:
    parts = [lambda n=n: run(tmp_path).holding(f"1of{n}") for n in (2, 3)]
    assert held_at_once(parts)[0] == 1
    with run(tmp_path).holding("1of2"), run(tmp_path).holding("2of2"):
        with pytest.raises(UserError, match="another process works on [12]of2"):
            run(tmp_path).holding("1of3").__enter__()
        assert not (tmp_path / "lock-1of3").exists()


def test_a_run_that_is_removed_when_it_ends_is_held_by_one_process(tmp_path: Path) -> None:
    new = tmp_path / "new"
    most, times = held_at_once([lambda: run(new).locked()] * WORKERS)
    assert most == 1
    assert times >= ROUNDS / 2
    assert not new.exists()
