"""Certifying a finished run by the whole ladder, as `python -m pipelines.certify` does."""

import itertools
import re
import shutil
import signal
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from absl import flags

from pipelines import check
from pipelines.flags.parsing import parse
from pipelines.stages import checking
from rt_tf.errors import UserError
from rt_tf.evaluation import certifying
from rt_tf.evaluation.certifying import CertifySettings, climb
from rt_tf.evaluation.recording import CHUNK
from rt_tf.records import merge
from tests.pipelines.conftest import command, report_of, run, start
from tests.pipelines.runs.test_interruption import wait_for

EPS = 0.02
LADDER = "--rungs=interval,attack,branch_and_bound"
SAMPLES = 60


def ask(folder: Path, *arguments: str) -> None:
    usual = [f"--model_dir={folder}", f"--epsilon={EPS}", f"--samples={SAMPLES}", "--quiet"]
    run("certify", *usual, *arguments)


def rows_of(folder: Path, name: str = "certify", eps: float = EPS) -> list[dict]:
    return merge.read(folder / f"records/linf-{eps}/{name}.jsonl")[1]


def question_of(folder: Path) -> dict:
    (question,) = [q for q in report_of(folder)["questions"] if q["epsilon"] == EPS]
    return question


def verdicts(rows: list[dict]) -> dict[int, tuple]:
    return {row["index"]: (row["verdict"], row["cause"]) for row in rows}


@pytest.fixture(scope="module")
def certified(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose first examples are all certified or falsified."""
    folder = shutil.copytree(finished, tmp_path_factory.mktemp("certified") / "run")
    ask(folder, LADDER)
    return folder


def test_every_example_has_its_verdict_with_evidence(certified: Path) -> None:
    count = Counter(row["verdict"] for row in rows_of(certified))
    assert count["certified"] > 0
    assert count["falsified"] > 0
    assert sum(count.values()) == SAMPLES
    folder = certified / f"records/linf-{EPS}"
    for row in rows_of(certified):
        counterexample = row["counterexample"]
        assert (counterexample is not None) == (row["cause"] == "attack")
        if counterexample:
            assert np.load(folder / counterexample["file"]).shape == (8, 8, 1)
            assert counterexample["distance"] <= EPS
        if row["rung"] == "branch_and_bound":
            assert (folder / row["proof"]).exists()
        if row["cause"] == "misclassified":
            assert row["rungs"] == {}


def test_the_report_counts_counterexamples_of_the_ladder(certified: Path) -> None:
    question, rows = question_of(certified), rows_of(certified)
    count = Counter(row["verdict"] for row in rows)
    assert question["certified"]["count"] == count["certified"]
    assert question["attacked"]["count"] == SAMPLES - count["falsified"]
    assert question["attacked"]["n"] == SAMPLES
    assert question["trusted"] is None
    assert question["probable"] is None
    rungs = {rung["rung"]: rung for rung in question["certificate"]["rungs"]}
    falsified = sum(rung["falsified"] for rung in rungs.values())
    assert falsified == sum(row["cause"] == "attack" for row in rows)
    examples = report_of(certified)["examples"]["linf"]
    assert any(example["attack"] == "certify" for example in examples)


def test_the_checker_accepts_a_report_whole(certified: Path, capsys: pytest.CaptureFixture) -> None:
    values = flags.FlagValues()
    parse(["check", f"--proofs={certified}/proofs"], [check.check_group(values)], "")
    assert checking.check_files(values) == 0
    shown = capsys.readouterr().out
    assert re.search(r"branch_and_bound\W+[1-9]\d*\W+0\W+0\W", shown)
    kept = (certified / "export/assets.extra/network.npz").read_bytes()
    assert kept == (certified / "proofs/network.npz").read_bytes()


def test_parts_of_several_processes_merge(copy: Path, tmp_path: Path) -> None:
    alone = shutil.copytree(copy, tmp_path / "alone")
    ladder = "--rungs=interval"
    ask(alone, ladder)
    ask(copy, ladder, "--slice=1/3")
    ask(copy, ladder, "--slice=3/3")
    assert len(rows_of(copy, "certify-1of3")) == len(rows_of(copy, "certify-3of3")) == SAMPLES / 3
    assert question_of(copy)["certified"]["n"] == SAMPLES * 2 / 3
    lost = f"slice 2/3 of linf-{EPS}/certify lacks {SAMPLES // 3} examples"
    assert report_of(copy)["warnings"] == [lost]
    ask(copy, ladder)  # the rest, and all in one file
    assert report_of(copy)["warnings"] == []
    assert len(rows_of(copy)) == SAMPLES
    assert verdicts(rows_of(copy)) == verdicts(rows_of(alone))


@pytest.mark.slow
def test_parts_may_work_at_the_same_time_but_not_beside_others(copy: Path) -> None:
    usual = [f"--model_dir={copy}", f"--epsilon={EPS}", "--samples=20", LADDER]
    first, second = (start("certify", *usual, f"--slice={k}/2") for k in (1, 2))
    ends = [process.communicate(timeout=120) for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], ends
    assert len(merge.merge(copy / f"records/linf-{EPS}")) == 20
    assert question_of(copy)["certified"]["n"] == 20


def test_a_part_waits_for_nobody_that_holds_the_run_alone(copy: Path) -> None:
    from pipelines.runs.directory import RunDirectory

    with RunDirectory(copy).locked(), pytest.raises(UserError, match="nobody is working on"):
        ask(copy, LADDER, "--slice=1/2")
    with (
        RunDirectory(copy).locked(shared=True),
        pytest.raises(UserError, match="nobody is working on"),
    ):
        ask(copy, LADDER)


def test_half_a_line_is_asked_again_and_no_other(certified: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(certified, tmp_path / "copy")
    file = copy / f"records/linf-{EPS}/certify.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:20]) + lines[20][:30])
    ask(copy, LADDER)
    assert file.read_bytes().splitlines(keepends=True)[:20] == lines[:20]
    assert verdicts(rows_of(copy)) == verdicts(rows_of(certified))


@pytest.mark.slow
def test_a_killed_command_loses_what_it_was_at_alone(copy: Path) -> None:
    file = copy / f"records/linf-{EPS}/certify.jsonl"
    usual = [f"--model_dir={copy}", f"--epsilon={EPS}", "--rungs=branch_and_bound", "--quiet"]
    process = start("certify", *usual)
    wait_for(lambda: file.exists() and file.read_bytes().count(b"\n") > 3 + CHUNK)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    answered = [row for row in rows_of(copy) if "open" not in row]
    assert 3 < len(answered) < 360
    ask(copy, "--rungs=branch_and_bound")
    assert all(row in rows_of(copy) for row in answered)


@pytest.mark.slow
def test_more_time_is_given_to_those_that_had_too_little(copy: Path) -> None:
    usual = ["--rungs=branch_and_bound", "--epsilon=0.04"]  # where some need splits
    ask(copy, *usual, "--time_limit=0")
    before = rows_of(copy, eps=0.04)
    timed_out = {row["index"] for row in before if row["cause"] == "time"}
    assert timed_out
    ask(copy, *usual, "--time_limit=20")
    after = rows_of(copy, eps=0.04)
    kept = [row for row in before if row["index"] not in timed_out]
    assert [row for row in after if row["index"] not in timed_out] == kept
    assert not [row for row in after if row["verdict"] == "unknown"]


def test_those_that_are_not_asked_again_keep_their_verdicts(copy: Path) -> None:
    usual = ["--rungs=branch_and_bound", "--epsilon=0.04"]
    ask(copy, *usual, "--time_limit=0")
    before = rows_of(copy, eps=0.04)
    ask(copy, *usual, "--time_limit=20", "--samples=5")
    after = {row["index"]: row for row in rows_of(copy, eps=0.04)}
    assert len(after) == SAMPLES
    assert all(after[row["index"]] == row for row in before if row["index"] >= 5)
    assert not [row for row in after.values() if row["index"] < 5 and row["cause"] == "time"]


def test_a_further_rung_is_asked_of_what_is_open_alone(copy: Path) -> None:
    common = ("--samples=20", "--epsilon=0.01")
    ask(copy, "--rungs=interval", *common)
    before = {row["index"]: row for row in rows_of(copy, eps=0.01)}
    ask(copy, "--rungs=crown_ibp", *common)
    after = {row["index"]: row for row in rows_of(copy, eps=0.01)}
    left = {i for i, row in before.items() if row["verdict"] == "unknown"}
    assert 0 < len(left) < 20
    assert all(after[i] == before[i] for i in before.keys() - left)
    assert {tuple(after[i]["rungs"]) for i in left} == {("interval", "crown_ibp")}


def test_a_further_rung_asked_of_few_leaves_the_others_unknown_and_counted(copy: Path) -> None:
    """Those that no rung has settled yet are no reason to leave them out of the rate."""
    ask(copy, "--rungs=interval")
    before = question_of(copy)["certified"]
    ask(copy, "--rungs=crown_ibp", "--samples=5")
    after = question_of(copy)["certified"]
    assert before["n"] == after["n"] == SAMPLES
    assert before["count"] <= after["count"] <= before["count"] + 5
    assert question_of(copy)["clean"]["n"] == SAMPLES
    ask(copy, "--rungs=crown_ibp")
    rows = rows_of(copy)
    assert not [row for row in rows if row.get("open")]
    assert {row["index"] for row in rows} == set(range(SAMPLES))


def test_a_rate_is_of_all_that_was_begun_when_it_was_interrupted(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Easy examples are settled first; when the command ends, the others count as unknown."""

    def cut_short(*arguments):
        yield from itertools.islice(climb(*arguments), 10)
        raise KeyboardInterrupt

    monkeypatch.setattr(certifying, "climb", cut_short)
    with pytest.raises(KeyboardInterrupt):
        ask(copy, "--rungs=interval,crown_ibp,crown")
    rows = rows_of(copy)
    assert {row["index"] for row in rows} == set(range(SAMPLES))
    left = [row for row in rows if row.get("open")]
    assert 0 < len(left) < SAMPLES
    assert {(row["verdict"], row["cause"]) for row in left} == {("unknown", "time")}
    run("evaluate", f"--model_dir={copy}", f"--epsilon={EPS}", "--samples=20", "--quiet")
    certified = question_of(copy)["certified"]
    assert certified["n"] == SAMPLES
    assert certified["count"] == sum(row["verdict"] == "certified" for row in rows)
    monkeypatch.undo()
    ask(copy, "--rungs=interval,crown_ibp,crown")
    assert question_of(copy)["certified"]["count"] > certified["count"]
    assert not [row for row in rows_of(copy) if row.get("open")]


def test_what_a_limit_left_open_is_asked_again_with_a_higher_one() -> None:
    limits = CertifySettings(time_limit=10.0, memory=64.0)
    assert limits.limit("time") == {"time_limit": 10.0}
    assert limits.limit("memory") == {"memory_limit": 64.0}
    assert limits.limit("loose") == limits.limit(None) == {}
    assert limits.exceed_limits_of({"cause": "time", "time_limit": 9.0})
    assert limits.exceed_limits_of({"cause": "memory", "memory_limit": 32.0})
    assert not limits.exceed_limits_of({"cause": "time", "time_limit": 10.0})
    assert not limits.exceed_limits_of({"cause": "loose", "time_limit": 9.0})


def test_a_rung_that_refuses_the_network_leaves_the_records_alone(copy: Path) -> None:
    ask(copy, "--rungs=interval", "--samples=5")
    before = rows_of(copy)
    with pytest.raises(UserError, match="milp_conv"):
        ask(copy, "--rungs=interval,milp_conv", "--samples=5")
    assert rows_of(copy) == before


def test_a_part_is_one_process_s_and_all_count_to_the_same_number(copy: Path) -> None:
    from pipelines.runs.directory import RunDirectory

    with RunDirectory(copy).locked(shared=True), RunDirectory(copy).holding("1of2"):
        for other in ("1/2", "1/4"):
            with pytest.raises(UserError, match="slice: expected a part that nobody"):
                ask(copy, LADDER, f"--slice={other}")
    assert not list(copy.glob("lock-*"))


def test_parts_of_other_settings_are_refused_and_superseded_by_one_alone(copy: Path) -> None:
    ask(copy, "--rungs=interval", "--samples=10", "--slice=1/2")
    with pytest.raises(UserError, match="slice: expected the settings of the other parts"):
        ask(copy, "--rungs=crown_ibp", "--samples=10", "--slice=2/2")
    ask(copy, "--rungs=crown_ibp,interval", "--samples=10")
    assert len(rows_of(copy)) == 10
    assert not list((copy / f"records/linf-{EPS}").glob("certify-*.jsonl"))


@pytest.mark.slow
def test_without_rungs_the_usual_ladder_is_climbed_in_the_quickest_order(copy: Path) -> None:
    usual = [f"--model_dir={copy}", f"--epsilon={EPS}", "--samples=120"]
    result = command("certify", *usual)
    assert result.returncode == 0, result.stderr
    assert "is quickest on 20 images" in result.stdout
    header, _ = merge.read(copy / f"records/linf-{EPS}/certify.jsonl")
    ladder = ["attack", "interval", "crown_ibp", "crown", "alpha_crown", "branch_and_bound"]
    assert header["settings"]["rungs"] == ladder
    assert question_of(copy)["outcomes"]["loose"] == 0


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--slice=0/2", "expected a part k/n"),
        ("--slice=3/2", "expected a part k/n"),
        ("--slice=half", "expected a part k/n"),
        ("--rungs=milp9", "expected one of attack, interval"),
        ("--time_limit=-1", "expected a number in"),
    ],
)
def test_bad_flags_are_told_in_a_line(
    finished: Path, flag: str, message: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        ask(finished, flag)
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_a_part_without_examples_is_refused(copy: Path) -> None:
    with pytest.raises(UserError, match="slice: expected a part that has examples"):
        ask(copy, LADDER, "--slice=61/70")
