"""A run as a user sees it: one command, then the others on its directory."""

import json
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import networks
import numpy as np
import pytest

from pipelines.runs.directory import RunDirectory
from rt_tf.errors import UserError
from rt_tf.records import merge
from rt_tf.reporting.attacks import warnings
from rt_tf.reporting.summary import main_question
from tests.pipelines.conftest import command, report_of, run


def test_a_finished_run_is_whole(finished: Path) -> None:
    assert list(RunDirectory(finished).done()) == ["train", "export", "certify", "attack", "report"]
    report = report_of(finished)
    assert report["main"] == "linf-0.05"
    main = next(q for q in report["questions"] if q["name"] == "linf-0.05")
    assert main["clean"]["n"] == main["attacked"]["n"] == main["certified"]["n"] == 40
    assert main["clean"]["rate"] >= main["attacked"]["rate"] >= main["certified"]["rate"]
    assert [row["phase"] for row in report["training"]["history"]] == [0, 1]
    assert report["warnings"] == []  # looked for: they would be in
    assert (finished / "records" / warnings.FILE).exists()
    page = (finished / "report" / "report.html").read_text()
    assert (finished / "export" / "assets.extra" / "report.html").read_text() == page
    assert "PGD" in page or "pgd" in page


def test_records_hold_a_line_per_example_that_checks(finished: Path) -> None:
    _, rows = merge.read(finished / "records" / "linf-0.05" / "certify.jsonl")
    assert sorted(row["index"] for row in rows) == list(range(40))
    for question in merge.load(finished / "records"):
        for row in question.rows:
            assert row["verdict"] in {"certified", "falsified", "unknown"}
            for attack in row["attacks"].values():
                if attack["file"]:
                    assert np.load(question.folder / attack["file"]).shape == (8, 8, 1)


def test_tensorboard_shows_what_training_is_steered_by(finished: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
    from tensorboard.util.tensor_util import make_ndarray

    def read(*parts: str) -> tuple[EventAccumulator, set[str]]:
        path = finished.joinpath("logs", *parts)
        events = EventAccumulator(str(path), size_guidance={"tensors": 0}).Reload()
        return events, set(events.Tags()["tensors"])

    def values(events: EventAccumulator, tag: str) -> list:
        return [make_ndarray(event.tensor_proto).item() for event in events.Tensors(tag)]

    (whole, tags), (train, on_train), (validation, on_validation) = (
        read(*parts) for parts in ((), ("train",), ("validation",))
    )
    accuracies = {f"accuracy/{kind}" for kind in ("clean", "attacked", "verified")}
    assert accuracies == on_train & on_validation
    rows = [json.loads(line) for line in (finished / "history.jsonl").read_text().splitlines()]
    for part, events in (("train", train), ("validation", validation)):
        expected = [row[part]["clean"] for row in rows]
        assert values(events, "accuracy/clean") == pytest.approx(expected)
    assert {"schedule/eps", "schedule/learning_rate", "steering/phase"} <= on_train
    assert {"batch/loss", "batch/point_loss", "batch/bound_loss"} <= on_train
    assert "batch/penalty" not in on_train  # neither phase has one
    assert {"bound_width/relu1", "bound_width/relu2", "stable_share/relu1"} <= on_validation
    assert "clean, adversarial, difference" in on_validation
    assert set(values(train, "schedule/kappa")) == {0.5}  # the first phase is too short for more
    assert not accuracies & tags
    (flags,) = values(whole, "flags")
    assert b"--kappa=0,0.5" in flags
    assert "report" in tags
    question = main_question(report_of(finished))
    for name in ("clean", "attacked", "certified"):
        assert values(whole, f"headline/{name}")[-1] == pytest.approx(question[name]["rate"])
    session = whole.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    hparams = HParamsPluginData.FromString(session).session_start_info.hparams
    assert hparams["kappa"].string_value == "0,0.5"
    assert hparams["epsilon"].number_value == 0.05


def test_what_a_phase_has_not_is_in_no_history(finished: Path) -> None:
    rows = [json.loads(line) for line in (finished / "history.jsonl").read_text().splitlines()]
    assert {row["phase"] for row in rows} == {0, 1}
    assert json.loads((finished / "run.json").read_text())["history"] == len(rows)
    for row in rows:
        assert ("bound_loss" in row) == ("bound_verified" in row) == (row["phase"] == 1)
        assert "penalty" not in row


def test_the_same_command_again_says_that_it_is_finished(copy: Path) -> None:
    before = (copy / "report" / "report.json").read_bytes()
    result = command("train", f"--flagfile={copy / 'flags.cfg'}", f"--model_dir={copy}")
    assert result.returncode == 0, result.stderr
    assert "is finished" in result.stdout
    assert (copy / "report" / "report.json").read_bytes() == before


def test_changed_flags_are_refused_with_the_difference(copy: Path) -> None:
    own = (f"--flagfile={copy / 'flags.cfg'}", f"--model_dir={copy}")
    result = command("train", *own, "--seed=3", "--kappa=0,1")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "--seed was 0, is now 3" in result.stderr
    assert "--kappa was 0,0.5, is now 0,1" in result.stderr
    assert "--accept_changed_flags" in result.stderr
    result = command("train", *own, "--learning_rate=0.1", "--accept_changed_flags")
    assert result.returncode == 2
    assert "has been trained with other flags that shape its weights" in result.stderr


def test_other_radii_methods_and_counts(copy: Path) -> None:
    more = ("--epsilon=0.01,8/255", "--rungs=crown_ibp", "--samples=50")
    run("certify", f"--model_dir={copy}", *more)
    weak = ("--eval_attack=fgsm", "--eval_step_size=1", "--samples=30")
    run("evaluate", f"--model_dir={copy}", *weak)
    questions = {q["name"]: q for q in report_of(copy)["questions"]}
    assert questions["linf-0.01"]["certified"]["n"] == 50
    assert questions["linf-0.03137254901960784"]["certified"]["n"] == 50
    before = questions["linf-0.05"]["certificate"]["settings"]
    run("certify", f"--model_dir={copy}", "--rungs=interval", "--samples=50")
    questions = {q["name"]: q for q in report_of(copy)["questions"]}
    assert questions["linf-0.05"]["certificate"]["settings"] == before  # it keeps its rungs
    attacks = {attack["id"] for attack in questions["linf-0.05"]["attacks"]}
    assert attacks == {"pgd-3x1-odds", "fgsm-1x2-a1-odds"}


def test_a_radius_out_of_range_is_one_line(copy: Path) -> None:
    words = r"epsilon: expected a radius in \(0, 1\] for linf; received 7"
    with pytest.raises(UserError, match=words):
        run("certify", f"--model_dir={copy}", "--epsilon=7")


def test_the_export_serves_and_certifies_without_this_library(
    finished: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(finished, folder)
    shutil.rmtree(folder / "export")
    run("export", f"--model_dir={folder}")
    script = f"""
        import sys, numpy as np, tensorflow as tf
        served = tf.saved_model.load({str(folder / "export")!r})
        x = np.full((5, 8, 8, 1), 0.5, np.float32)
        x[1, 0, 0, 0], x[2, 0, 0, 0], x[3] = np.nan, 1.5, np.linspace(0, 1, 64).reshape(8, 8, 1)
        answer = served.serve(x)
        assert answer["logits"].shape == (5, 10)
        np.testing.assert_array_equal(answer["label"], answer["logits"].numpy().argmax(-1))
        for epsilon in (0.0, 1e-4, 0.05):
            proof = served.certify(x, tf.constant(epsilon))
            print(proof["certified"].numpy().astype(int).tolist())
            assert (proof["certified"].numpy() == (proof["margin"].numpy() > 0)).all()
        for epsilon in (-0.1, 2.0, np.nan):
            proof = served.certify(x, tf.constant(epsilon, tf.float32))
            assert not proof["certified"].numpy().any()
        radii = served.radius(x, tf.constant(0.5))
        assert (radii["radius"].numpy()[1:3] == 0).all() and radii["radius"].numpy()[0] > 0
        for image, radius, method in zip(x, radii["radius"].numpy(), radii["method"].numpy()):
            if radius > 0:
                by_it = getattr(served, "certify_" + method.decode())
                assert by_it(image[None], tf.constant(radius))["certified"].numpy().all()
        assert "rt_tf" not in sys.modules
    """
    code = textwrap.dedent(script)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    small_radius = json.loads(done.stdout.splitlines()[1])
    assert small_radius[1:3] == [0, 0]  # NaN and out of range
    assert small_radius[0] == small_radius[4] == 1
    sums = subprocess.run(
        ["sha256sum", "-c", "assets.extra/SHA256SUMS"], cwd=folder / "export", capture_output=True
    )
    assert sums.returncode == 0


def test_a_directory_that_is_no_run_is_left_alone(tmp_path: Path, small: tuple[str, ...]) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    result = command("train", *small, f"--model_dir={tmp_path}")
    assert result.returncode == 2
    assert "expected an empty directory or a run's" in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["thesis.txt"]


NO_DATA = (["--model=wong_large", "--dataset=mnist", "--data_dir=/nowhere"], "--download")
TOO_FEW = (["--dataset=digits", "--batch_size=5000", "--kappa=0"], "batch_size: expected at most")


@pytest.mark.parametrize("case", networks.mostly_slow([NO_DATA, TOO_FEW], [NO_DATA]))
def test_data_that_are_absent_or_too_few(tmp_path: Path, case: tuple[list[str], str]) -> None:
    arguments, words = case
    result = command("train", *arguments, f"--model_dir={tmp_path / 'run'}")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1, result.stderr
    assert words in result.stderr
    assert not list(tmp_path.iterdir())  # nothing half-written


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path: Path, small: tuple[str, ...]) -> None:
    folder = tmp_path / "planned"
    result = command("train", *small, "--dry_run", f"--model_dir={folder}")
    assert result.returncode == 0, result.stderr
    assert "17,610 parameters, 200 hidden units" in result.stdout
    assert "GiB" in result.stdout
    assert not folder.exists()
