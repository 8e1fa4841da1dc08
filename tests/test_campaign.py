"""The campaign: entries are run once each, within their budget, from where a kill left them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from benchmarks import budgeted, campaign, systems
from benchmarks.entries import Entry, Folder, read
from pipelines.flags.flag_files import CONFIGS
from rt_tf.errors import UserError

HOUR = 3600.0
BURN = "while True: pass"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "runs", tmp_path / "results")


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    rows = [{"system": "digits/ibp", "seed": seed, "hours": 0.5} for seed in (0, 1)]
    return written(tmp_path / "list.json", rows)


def written(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def stands_in(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """In place of a training: Python code that sees its run's path as sys.argv[1]."""
    monkeypatch.setattr(
        systems, "command", lambda name, seed, run, options: [sys.executable, "-c", code, str(run)]
    )
    monkeypatch.setattr(systems, "result", lambda run: {"took": run.with_suffix(".done").name})


def test_the_committed_list_is_one() -> None:
    assert read(campaign.LIST)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "expected a JSON list"),
        ([{"system": "digits/ibp", "seed": 0}], "hours"),
        ([{"system": "digits/ibp", "seed": "0", "hours": 1}], "hours"),
        ([{"system": "digits/none", "seed": 0, "hours": 1}], "digits/none"),
        ([{"system": "digits/ibp", "seed": -1, "hours": 1}], "seed >= 0"),
        ([{"system": "digits/ibp", "seed": 0, "hours": 0}], "hours > 0"),
        ([{"system": "digits/ibp", "seed": 0, "hours": 1}] * 2, "once"),
    ],
)
def test_lists_that_are_none_are_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read(written(tmp_path / "list.json", content))


def test_entries_are_run_in_order_and_their_results_kept(
    monkeypatch: pytest.MonkeyPatch, folder: Folder, listed: Path
) -> None:
    stands_in(monkeypatch, "import sys; open(sys.argv[1] + '.done', 'x')")
    assert campaign.campaign(listed, folder) == []
    assert [folder.state(entry) for entry in read(listed)] == ["done", "done"]
    kept = json.loads(folder.result(read(listed)[1]).read_text())
    assert kept == {"took": "ibp-seed1.done"}
    campaign.campaign(listed, folder)  # would fail: the files are there


def test_a_list_that_grows_is_followed(
    monkeypatch: pytest.MonkeyPatch, folder: Folder, listed: Path
) -> None:
    more = [{"system": "digits/ibp", "seed": seed, "hours": 0.5} for seed in (0, 1, 7)]
    stands_in(monkeypatch, f"open({str(listed)!r}, 'w').write({json.dumps(more)!r})")
    campaign.campaign(listed, folder)
    assert folder.state(Entry("digits/ibp", 7, 0.5)) == "done"


def test_what_fails_is_told_and_tried_again_by_the_next_campaign(
    monkeypatch: pytest.MonkeyPatch, folder: Folder, listed: Path
) -> None:
    stands_in(monkeypatch, "import sys; sys.exit('no data' if 'seed0' in sys.argv[1] else 0)")
    assert campaign.campaign(listed, folder) == ["digits/ibp-seed0: status 1: no data"]
    assert [folder.state(entry) for entry in read(listed)] == ["failed", "done"]
    stands_in(monkeypatch, "")
    assert campaign.campaign(listed, folder) == []
    assert folder.state(read(listed)[0]) == "done"


def test_an_entry_that_another_process_is_at_is_left_to_it(
    monkeypatch: pytest.MonkeyPatch, folder: Folder, listed: Path
) -> None:
    stands_in(monkeypatch, "")
    first, second = read(listed)
    with folder.locked(first) as lock:
        assert lock is not None
        assert folder.state(first) == "running"
        campaign.campaign(listed, folder)
        assert not folder.result(first).exists()
    assert folder.state(second) == "done"
    assert folder.state(first) == "waiting"


def test_a_budget_ends_a_training_and_a_greater_one_goes_on(
    monkeypatch: pytest.MonkeyPatch, folder: Folder, listed: Path
) -> None:
    written(listed, [{"system": "digits/ibp", "seed": 0, "hours": 1 / HOUR}])
    stands_in(monkeypatch, BURN)
    began = os.times().children_user
    assert campaign.campaign(listed, folder) == ["digits/ibp-seed0: over its budget"]
    assert os.times().children_user - began < 5.0
    (entry,) = read(listed)
    assert folder.state(entry) == "over budget"
    assert folder.left(entry) == 0.0
    assert campaign.campaign(listed, folder) == []
    assert folder.left(entry._replace(hours=2 / HOUR)) == pytest.approx(1 / HOUR, rel=0.5)


def test_an_interrupted_campaign_ends_its_training_and_counts_its_time(
    monkeypatch: pytest.MonkeyPatch, folder: Folder, listed: Path
) -> None:
    stands_in(
        monkeypatch, "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid()))\n" + BURN
    )
    entry, note = read(listed)[0], Folder.note

    def interrupts(self: Folder, entry: Entry, hours: float, ended: str = "") -> None:
        note(self, entry, hours, ended)
        if HOUR * hours > 0.3:
            raise KeyboardInterrupt

    monkeypatch.setattr(budgeted, "BEAT", 0.05)
    monkeypatch.setattr(Folder, "note", interrupts)
    with pytest.raises(KeyboardInterrupt):
        campaign.campaign(listed, folder)
    with pytest.raises(ProcessLookupError):
        os.kill(int(folder.run(entry).read_text()), 0)
    assert folder.state(entry) == "stopped"
    assert 0.3 < HOUR * folder.spent(entry) < 5.0


def test_a_training_that_outlives_its_campaign_holds_its_entry(folder: Folder) -> None:
    entry = Entry("digits/ibp", 0, 1.0)
    with folder.locked(entry) as lock:
        assert lock is not None
        child = subprocess.Popen(["sleep", "60"], pass_fds=[lock.fileno()])
    assert folder.state(entry) == "running"
    child.kill()
    child.wait()
    assert folder.state(entry) == "waiting"


def test_a_pinned_process_and_its_children_have_one_core_and_the_lowest_priority() -> None:
    core = max(os.sched_getaffinity(0))
    shown = "import os; print(sorted(os.sched_getaffinity(0)), os.nice(0))"
    code = f"import sys, subprocess; from benchmarks.budgeted import pin; pin({core})\n"
    code += f"subprocess.run([sys.executable, '-c', {shown!r}])"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=CONFIGS.parent, capture_output=True, text=True)
    assert done.stdout == f"[{core}] 19\n", done.stderr
    with pytest.raises(UserError, match="core: expected one of"):
        budgeted.pin(10_000)


def test_the_table_has_the_selected_network_beside_the_last_one(folder: Folder) -> None:
    kept = json.loads(systems.place("mnist/goal_01", 0).read_text())
    watched = {"clean": 0.98, "attacked": 0.9, "verified": None}
    best = {"phase": 0, "epoch": 12, "train": watched, "validation": watched}
    final = {**best, "epoch": 30, "validation": {**watched, "attacked": 0.8512}}
    ends = {"best": best, "final": final, "training_cpu_seconds": 5400.0}
    entry = Entry("mnist/goal_01", 0, 1.0)
    folder.results.mkdir()
    written(folder.result(entry), kept | ends | {"hardware": {"cores": 2}})
    *_, row = campaign.table([entry, entry._replace(seed=1)], folder).splitlines()
    ends_told = "98.0 / 90.0 / - (12) | 98.0 / 85.1 / - (30)"
    assert row == f"| `mnist/goal_01` | 0 | {ends_told} | 1.50 | 2 |"


def test_a_campaign_itself_does_not_load_tensorflow() -> None:
    code = "import sys, benchmarks.campaign; print('tensorflow' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=CONFIGS.parent, capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr


@pytest.mark.slow
def test_a_killed_campaign_goes_on_where_it_stopped(folder: Folder, tmp_path: Path) -> None:
    rows = [{"system": "digits/ibp", "seed": 3, "hours": 0.5}]
    listed = written(tmp_path / "list.json", rows)
    command = [sys.executable, "-m", "benchmarks.campaign", f"--list={listed}"]
    command += [f"--runs={folder.runs}", f"--results={folder.results}"]
    entry = read(listed)[0]
    checkpoints = folder.run(entry) / "checkpoints"
    begun = subprocess.Popen(command, cwd=CONFIGS.parent)
    while not list(checkpoints.glob("ckpt-[1-9]*.index")):
        assert begun.poll() is None
        time.sleep(0.2)
    begun.send_signal(signal.SIGTERM)
    assert begun.wait(60) in (130, 143)
    assert folder.state(entry) == "stopped"
    subprocess.run(command, cwd=CONFIGS.parent, check=True)
    assert "resuming after step" in folder.log(entry).read_text()
    kept = json.loads(folder.result(entry).read_text())
    assert kept["seed"] == 3
    assert kept["hardware"]["cores"] == 1
    assert kept["certified"]["rate"] > 0.8
    assert kept["training_cpu_seconds"] < 3600 * folder.spent(entry)
    assert kept["best"]["epoch"] == kept["selected"]["epoch"] <= kept["final"]["epoch"]
    assert kept["flags"]["seed"] == "3"
