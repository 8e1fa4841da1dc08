"""Systems that are more than settings of one phase, from the command to the report."""

import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from absl import flags as absl_flags
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorflow.python.framework.config import disable_op_determinism

from pipelines.assembly import devices, inputs
from pipelines.flags.parsing import parse
from pipelines.flags.read_phases import read_phases
from pipelines.flags.run import training_groups
from pipelines.runs.directory import RunDirectory
from pipelines.runs.provenance import pin_extra
from pipelines.stages import plan, training
from rt_tf import data
from rt_tf.errors import UserError
from rt_tf.reporting.summary import main_question
from rt_tf.serving import saved_model
from rt_tf.training.loop.loop import Loop
from tests.pipelines.conftest import command, report_of, run, trained


@pytest.fixture(scope="module")
def cascade(tmp_path_factory: pytest.TempPathFactory, small: tuple[str, ...]) -> Path:
    """A finished run of a cascade of two members."""
    folder = tmp_path_factory.mktemp("runs") / "cascade"
    members = ("--new_member=false,true", "--epochs=15,15", "--learning_rate=0.005", "--curve=0")
    members += ("--epsilon=0.03", "--kappa=0.3")
    return trained(folder, *small, *members)


@pytest.mark.slow
def test_a_cascade_is_certified_member_by_member(cascade: Path) -> None:
    question = main_question(report_of(cascade))
    assert question["clean"]["count"] >= question["attacked"]["count"]
    assert question["attacked"]["count"] >= question["certified"]["count"] > 0
    rungs = {rung["rung"]: rung for rung in question["certificate"]["rungs"]}
    assert "interval, member 1" in rungs
    assert "interval, member 2" in rungs


@pytest.mark.slow
def test_a_cascade_is_served_as_one_model(cascade: Path) -> None:
    served = saved_model.load(cascade / "export")
    images = tf.constant(np.random.default_rng(0).random((4, 8, 8, 1)), tf.float32)
    answer = served.certify(images, tf.constant(0.01))
    assert set(answer) == {"label", "in_domain", "certified", "margin"}
    np.testing.assert_array_equal(answer["label"], served.serve(images)["label"])
    rows = [json.loads(line) for line in (cascade / "history.jsonl").read_text().splitlines()]
    assert rows[-1]["steering"]["member"] == 2
    logs = str(cascade / "logs" / "train")
    events = EventAccumulator(logs, size_guidance={"tensors": 0}).Reload()
    shown = {"steering/member", "steering/open_examples", "accuracy/verified"}
    assert shown <= set(events.Tags()["tensors"])


@pytest.mark.slow
def test_a_cascade_is_attacked_as_a_whole(
    cascade: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(cascade, tmp_path / "copy")
    common = (f"--model_dir={copy}", "--epsilon=0.15", "--eval_steps=5", "--samples=60")
    run("evaluate", *common)
    assert "--eval_attack=cascade" not in capsys.readouterr().out
    run("evaluate", *common, "--eval_attack=pgd")
    assert "pgd climbs a cascade's first member alone" in capsys.readouterr().out
    (question,) = [q for q in report_of(copy)["questions"] if q["epsilon"] == 0.15]
    left = {attack["id"]: attack["attacked"]["count"] for attack in question["attacks"]}
    assert left["cascade-5x2"] < left["pgd-5x2-odds"] <= question["clean"]["count"]


@pytest.mark.slow
def test_a_cascade_is_attacked_under_its_own_threat_alone(cascade: Path) -> None:
    common = (f"--model_dir={cascade}", "--threat=l2", "--epsilon=0.5", "--quiet")
    with pytest.raises(UserError, match="threat: expected linf for a cascade.*; received l2"):
        run("evaluate", *common)


@pytest.mark.slow
def test_a_loss_is_refused_on_a_cascade_whose_attack_climbs_none(cascade: Path) -> None:
    with pytest.raises(UserError, match="eval_loss: expected none with the attack cascade"):
        run("evaluate", f"--model_dir={cascade}", "--eval_loss=ce", "--quiet")


def build_loop(digits_dir: Path, tmp_path: Path, *arguments: str) -> Loop:
    """The loop of `python -m pipelines.train`, as it is checked before anything is written."""
    values = absl_flags.FlagValues()
    groups = training_groups(values)
    places = ("--model=digits_fc", f"--data_dir={digits_dir}", f"--model_dir={tmp_path / 'run'}")
    parse(["train", *places, *arguments], groups, "")
    read_phases(values)
    return training.checked_loop(
        values, inputs.load_data(values), tmp_path / "run", devices.strategy(values.strategy)
    )


UNION = ["--threat=union", "--union_radii=0.3,1.5,12"]
WASSERSTEIN = ["--threat=wasserstein", "--epsilon=1", "--eval_attack=adaptive"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--attack=latent", "--latent_layer=3"], "latent_layer: expected 0 to 2, .* received 3"),
        (["--attack=latent", "--batch_norm"], "batch normalisation; received latent"),
        (["--attack=latent", "--threat=l2", "--epsilon=1"], "received latent, which is for linf"),
        (["--attack=msd"], "attack: expected one for linf .*; received msd, which is for union"),
        (["--attack=each"], "received each, which is for union"),
        (
            ["--bound=interval", "--kappa=1", "--threat=wasserstein", "--epsilon=1"],
            "bound: expected none for wasserstein",
        ),
        (
            ["--relu_stability=1", "--threat=wasserstein", "--epsilon=1", "--eval_attack=adaptive"],
            "relu_stability .*: expected 0 for wasserstein",
        ),
        (
            [*UNION, "--attack=msd", "--bound=interval", "--kappa=1", "--bound_ratio=.5"],
            "bound_ratio: expected 1 for union",
        ),
        (["--threat=union", "--attack=msd"], "union_radii: expected radii of linf, l2 and l1"),
        (
            [*WASSERSTEIN, "--epochs=2,2", "--new_member=false,true"],
            "new_member: expected false for wasserstein",
        ),
        (["--epochs=2,2", "--new_member=true"], "new_member: expected false in the first phase"),
        (["--eval_attack=cascade"], "for a network that is no cascade; received cascade"),
        ([*WASSERSTEIN, "--attack_start=ball"], "attack_start: expected another than ball for"),
        ([*WASSERSTEIN, "--eval_start=ball"], "eval_start: expected another than ball for"),
        ([*WASSERSTEIN, "--select_by=verified"], "received 'verified' with --threat=wasserstein"),
        (
            ["--select_by=attacked", "--monitor_attack_steps=0"],
            "select_by: .* received 'attacked' with --monitor_attack_steps=0",
        ),
        (
            ["--epochs=3,3", "--phase_clock=run"],
            "epochs: expected more than the 3 of the phases before and the ramps' 0, .*received 3",
        ),
        (
            ["--epochs=2,2", "--phase_until=overfit", "--reset_optimizer=false", "--attack=fgsm"],
            "reset_optimizer: expected true with --phase_until=overfit before",
        ),
        (
            ["--epochs=2,2", "--new_member=false,true", "--reset_optimizer=false"],
            "reset_optimizer: expected true with --new_member=true",
        ),
        (
            ["--epochs=2,2", "--new_member=false,true", "--extra_data=a.npz"],
            "extra_data: expected none for a cascade",
        ),
        (["--jit_compile", "--attack=latent"], "jit_compile: .* received --attack=latent"),
        (["--jit_compile", "--mixup=1"], "jit_compile: expected false with --mixup=1"),
        (
            ["--bound_recompute", "--bound=interval", "--kappa=0.5"],
            "bound_recompute: expected false, or a phase with --bound=dual or crown; received true",
        ),
        (
            ["--bound=interval", "--kappa=0.8", "--kappa_step=0.1", "--monitor_every=2"],
            "kappa_every: expected a multiple of --monitor_every=2",
        ),
        (["--cutout=9"], "cutout: expected at most 8, .* received 9"),
        (["--extra_labels_from=a"], "expected --extra_data="),
        (["--extra_data=none.npz", "--extra_share=0.001"], "a batch's 100 examples; .*that of 0"),
        (["--extra_data=none.npz"], "expected an .npz file; none.npz"),
        (["--extra_data=a.npz", "--extra_labels_from=b"], "expected a finished run; b is none"),
        (
            ["--select_by=verified", "--monitor_bound=none"],
            "select_by: .* received 'verified' with --monitor_bound=none",
        ),
        (
            ["--epochs=2,2", "--new_member=false,true", "--monitor_bound=none"],
            "monitor_bound: expected a bound, whose certificates decide",
        ),
        (
            ["--monitor_bound=probable", "--threat=l1", "--epsilon=1"],
            "threat: expected linf or l2 with probable; received l1",
        ),
        (
            ["--rungs=interval,probable", "--threat=l1", "--epsilon=1"],
            "threat: expected linf or l2 with probable; received l1",
        ),
        (
            ["--model=wong_wide", "--model_scale=0.5"],
            "model_scale: expected a whole number for wong_wide; received 0.5",
        ),
    ],
)
def test_wrong_combinations_are_refused_before_the_first_step(
    arguments: list[str], words: str, digits_dir: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=words):
        build_loop(digits_dir, tmp_path, *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_images_labelled_by_another_run_join_training(
    cascade: Path, digits_dir: Path, tmp_path: Path
) -> None:
    test = data.load("digits", digits_dir).test
    file = tmp_path / "extra.npz"
    mirrored = np.ascontiguousarray(test.rows[:50, :, ::-1])
    np.savez(file, images=mirrored)
    arguments = (f"--extra_data={file}", f"--extra_labels_from={cascade}", "--extra_share=0.25")
    loop = build_loop(digits_dir, tmp_path / "new", *arguments)
    assert loop.extra is not None
    served = saved_model.load(cascade / "export")
    labels = served.serve(mirrored.astype(np.float32) / 16.0)["label"]
    np.testing.assert_array_equal(loop.extra.split.labels, labels)
    assert loop.steps_per_epoch == len(loop.train) // 75
    np.savez(file, images=test.rows[:50])
    with pytest.raises(UserError, match="those of the test split .*; received 50 of them"):
        build_loop(digits_dir, tmp_path / "other", *arguments)
    points, folder = ("--dataset=points", "--model=points_fc"), tmp_path / "points"
    np.savez(file, images=np.zeros((9, *data.load("points", folder).shape), np.uint8))
    with pytest.raises(UserError, match=r"expected a run on images of .*; .* is on \[8, 8, 1\]"):
        build_loop(folder, tmp_path / "other", *points, *arguments)


@pytest.mark.parametrize("flag", ["attack_loss", "eval_loss"])
def test_a_loss_of_three_classes_is_refused_for_two(flag: str, tmp_path: Path) -> None:
    arguments = ("--dataset=points", "--model=points_fc", "--attack=pgd", f"--{flag}=dlr")
    with pytest.raises(UserError, match=f"{flag}: .* needs 3 classes; received dlr for 2"):
        build_loop(tmp_path, tmp_path, *arguments)


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 cut off"])
def test_files_that_are_no_examples_are_refused(
    content: bytes, digits_dir: Path, tmp_path: Path
) -> None:
    file, digits = tmp_path / "extra.npz", data.load("digits", digits_dir)
    file.write_bytes(content)
    with pytest.raises(UserError, match="extra_data: expected an .npz file"):
        data.read_extra(file, digits)
    np.save(tmp_path / "images.npy", digits.test.rows[:5])
    with pytest.raises(UserError, match="extra_data: expected an .npz file"):
        data.read_extra(tmp_path / "images.npy", digits)
    np.savez(file, images=digits.test.rows[:5], labels=np.zeros(0))
    with pytest.raises(UserError, match=r"each of the 5 images; received \(0,\)$"):
        data.read_extra(file, digits)


def test_a_run_goes_on_with_the_further_examples_it_was_begun_with(
    digits_dir: Path, tmp_path: Path
) -> None:
    run, test = RunDirectory(tmp_path), data.load("digits", digits_dir).test
    some, others = (data.Extra(test.take(count), 0.5) for count in (50, 60))
    pin_extra(run, some)
    pin_extra(run, some)
    with pytest.raises(UserError, match="extra_data: expected the examples that .* was begun with"):
        pin_extra(run, others)
    with pytest.raises(UserError, match=r"received others \(None\)"):
        pin_extra(run, None)


@pytest.mark.slow
@pytest.mark.parametrize(
    "system",
    ["imagenet/fgsm", "cifar10/dat", "cifar100/dat", "cifar10/fgsm", "svhn_cropped/provable"],
)
def test_what_cannot_be_trained_here_takes_steps_on_made_up_data(
    system: str, tmp_path: Path
) -> None:
    few = ("--batch_size=2", f"--data_dir={tmp_path}", f"--model_dir={tmp_path / 'run'}")
    result = command("train", f"--flagfile=configs/{system}.cfg", "--dry_run", *few)
    assert result.returncode == 0, result.stderr
    assert "measured on made-up images" in result.stdout
    assert "nothing was written" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_the_plan_tells_the_largest_batch() -> None:
    gib = 2**30
    line = plan.memory_line(2 * gib, 3 * gib, 100, 5.0)
    assert line == (
        "memory: 3.0 GiB at the peak of these steps, 20 MiB an example: batches of up to about 200 "
        "fit 5 GiB"
    )
    assert plan.memory_line(2 * gib, 3 * gib, 100, 0.5).endswith("no batch fits 0.5 GiB")
    assert plan.memory_line(gib, gib + 2**20, 100, 4.0).endswith("the batch takes little")
    assert plan.memory_line(None, gib, 100, 4.0).endswith("at the peak of these steps")


def test_a_memory_without_a_dry_run_is_refused() -> None:
    result = command("train", "--dataset=digits", "--model_dir=unused", "--memory=4")
    assert result.returncode == 2
    assert result.stderr == (
        "error: memory: expected none without --dry_run; received --memory=4\n"
    )


@pytest.mark.slow
def test_a_batch_of_the_largest_size_takes_the_memory_that_was_given(tmp_path: Path) -> None:
    flags = ("--dataset=mnist", "--model=wong_small", "--bound=crown_ibp", "--kappa=0.5")
    flags += ("--memory=2.5", "--dry_run", f"--data_dir={tmp_path}")
    flags += (f"--model_dir={tmp_path / 'run'}",)
    few = command("train", *flags, "--batch_size=200")
    largest = re.search(r"up to about ([0-9,]+) fit 2.5 GiB", few.stdout)
    assert largest is not None, few.stdout + few.stderr
    size = int(largest[1].replace(",", ""))
    assert size > 200
    whole = command("train", *flags, f"--batch_size={size}")
    peak = re.search(r"memory: ([0-9.]+) GiB", whole.stdout)
    assert peak is not None, whole.stdout + whole.stderr
    assert float(peak[1]) == pytest.approx(2.5, rel=0.15)


def test_a_run_that_prepares_its_data_is_the_run_that_finds_them(
    digits_dir: Path, tmp_path: Path
) -> None:
    """Though the preparation draws numbers; and a deterministic run has the plain one's data."""
    devices.prepare_tensorflow(seed=0)
    plain = build_loop(digits_dir, tmp_path)
    devices.prepare_tensorflow(seed=0, deterministic=True)
    try:
        first = build_loop(tmp_path / "fresh", tmp_path)
    finally:
        disable_op_determinism()
    assert (tmp_path / "fresh" / "digits").exists()
    ours, theirs = (loop.model.network.get_weights() for loop in (plain, first))
    for mine, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(mine, other)
    pairs = zip(plain.batches(plain.phases[0]), first.batches(first.phases[0]), strict=False)
    for (images, labels, index), again in itertools.islice(pairs, 30):
        for mine, other in zip((images, labels, index), again, strict=True):
            np.testing.assert_array_equal(mine, other)
