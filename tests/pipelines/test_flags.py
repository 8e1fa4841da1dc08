"""Flags: what they say of themselves, and one line for every bad input."""

import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from absl import flags as absl_flags

from pipelines.flags import kinds, parsing, run
from rt_tf import catalogue
from rt_tf.errors import UserError
from tests.pipelines.conftest import command

ROOT = Path(__file__).parents[2]


def parsed(*arguments: str) -> absl_flags.FlagValues:
    values = absl_flags.FlagValues()
    groups = run.training_groups(values)
    return parsing.parse(["train", *arguments], groups, "about")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("--dataset=image net", "expected one of digits, .*; received 'image net'"),
        ("--dataset=csv:", "expected one of digits, .*csv:.*; received 'csv:'"),
        ("--image_size=0", "expected a side in pixels, or height x width, .*; received '0'"),
        ("--model=vgg", "expected one of .*wong_small.*; received 'vgg'"),
        (
            "--attack=pgd,cw",
            "expected one of none, fgsm, pgd, .*; received 'cw'",
        ),
        ("--bound=ibp", "expected one of none, interval, crown_ibp, .*; received 'ibp'"),
        ("--rungs=interval,ilp", "received 'ilp'"),
        ("--strategy=tpu", "expected one of auto, single, mirrored, multi_worker; received 'tpu'"),
        ("--precision=half", "received 'half'"),
        ("--epsilon=abc", "expected a number or a fraction such as 8/255; received 'abc'"),
        ("--epsilon=1/0", "expected a number or a fraction"),
        ("--epsilon=nan", "expected a number or a fraction"),
        ("--epsilon=inf", "expected a number or a fraction"),
        ("--threat=l3", "expected one of linf, l2, l1, .*; received 'l3'"),
        ("--epsilon=1e9999999", "expected a number or a fraction .*; received '1e9999999'"),
        ("--epsilon=1/1e-9999999", "expected a number or a fraction"),
        ("--epsilon=1e400/1e400", "expected a number or a fraction"),
        ("--epsilon=\x1b[31m\n1", r"received '\\x1b\[31m 1'"),
        ("--system=a\n--epsilon=0.5", "system.*: expected a text without line ends"),
        ("--model_dir=a\x1b[2Jb", "model_dir.*: expected a text without line ends"),
        ("--published=\udc80", "published.*: expected a text without line ends"),
        ("--kappa=0.5,1.5", r"expected a number in \[0, 1\]; received '1.5'"),
        ("--ema=1", r"expected a number in \[0, 0.999999\]; received '1'"),
        ("--epochs=ten", "expected a whole number >= 1; received 'ten'"),
        ("--batch_size=0", "expected a whole number >= 1; received '0'"),
        ("--phase_until=tired", "expected one of epochs, stable, overfit; received 'tired'"),
        ("--epsilom=0.1", "(?i)unknown command line flag 'epsilom'"),
        ("--flagfile=missing.cfg", "flagfile: expected a file of lines .*; received .*missing.cfg"),
        ("--flagfile", "flagfile: expected --flagfile=<file or system>; received none"),
        ("stray", "expected --name=value; received 'stray'"),
    ],
)
def test_bad_flags_end_with_one_line(
    argument: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        parsed(argument)
    captured = capsys.readouterr()
    assert end.value.code == 2
    assert captured.err.count("\n") == 1
    assert captured.err.startswith("error: ")
    assert re.search(words, captured.err), captured.err


def test_numbers_beyond_float_take_no_time() -> None:
    began = time.monotonic()
    with pytest.raises(ValueError, match="expected a number"):
        kinds.number("1e999999999999")
    assert kinds.number("1e-999999999999") == 0.0
    assert kinds.number("8/255") == 8 / 255
    assert time.monotonic() - began < 0.5


@pytest.mark.parametrize("form", [["--flagfile={}"], ["--flagfile", "{}"], ["-flagfile={}"]])
@pytest.mark.parametrize("before", [True, False])
def test_the_command_line_has_the_last_word_wherever_it_stands(
    form: list[str], before: bool, tmp_path: Path
) -> None:
    (tmp_path / "inner.cfg").write_text("--batch_size=7\n--seed=5\n")
    (tmp_path / "outer.cfg").write_text(f"--flagfile={tmp_path / 'inner.cfg'}\n--seed=6\n")
    file = [part.format(tmp_path / "outer.cfg") for part in form]
    given = ["--epsilon=0.25", "--batch_size=9"]
    values = parsed(*(given + file if before else file + given))
    assert (values.epsilon, values.batch_size, values.seed) == (0.25, 9, 6)


@pytest.mark.parametrize("content", [b"\xff\xfe--epsilon=0.1\n", bytes(range(256))])
def test_a_flag_file_that_is_no_text_ends_with_one_line(
    content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bin.cfg").write_bytes(content)
    with pytest.raises(SystemExit):
        parsed(f"--flagfile={tmp_path / 'bin.cfg'}")
    output = capsys.readouterr().err
    assert output.startswith("error: flagfile: expected lines of text")
    assert "bin.cfg" in output
    assert output.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--epsilon=-0.1"], r"epsilon: expected a radius in \(0, 1\] for linf; received -0.1"),
        (["--epsilon=1.5"], r"epsilon: expected a radius in \(0, 1\] for linf; received 1.5"),
        (["--epsilon=0"], "epsilon: expected a radius"),
        (["--threat=l2", "--epsilon=0"], r"a radius in \(0, 1000\] for l2; received 0"),
        (["--threat=l2", "--epsilon=1e4"], r"a radius in \(0, 1000\] for l2; received 10000"),
        (["--threat=l1", "--epsilon=-12"], r"a radius in \(0, 1000000\] for l1; received -12"),
        (["--threat=l1", "--train_epsilon=1e7"], "train_epsilon: expected a radius"),
        (["--train_epsilon=2"], "train_epsilon: expected a radius"),
        (["--epochs=1,2", "--kappa=0,1,0"], "--epochs has 2, --kappa has 3"),
        (["--kappa=1"], "kappa: expected 0 in a phase without a bound"),
        (["--bound=interval"], "kappa: expected > 0 in a phase with --bound=interval"),
        (["--bound=interval", "--kappa=1", "--epsilon_ramp_epochs=30"], "ramps: expected"),
        (["--bound=interval", "--kappa=1", "--bound_samples=101"], "bound_samples: expected"),
        (["--jit_compile", "--strategy=mirrored"], "jit_compile"),
        (["--momentum=0.5"], "momentum: expected none with --optimizer=adam.*; received 0.5"),
        (["--nesterov"], "nesterov: .*; received true with --optimizer=adam"),
        (
            ["--optimizer=sgd", "--nesterov", "--momentum=0"],
            "nesterov: .*; received true with --momentum=0",
        ),
        (
            ["--bound=cauchy", "--kappa=1", "--threat=l1", "--epsilon=1"],
            "threat: expected linf or l2 with cauchy; received l1",
        ),
        (["--jit_compile", "--bound=dual", "--kappa=1"], "jit_compile: .* received --bound=dual"),
        (
            ["--jit_compile", "--bound=interval", "--kappa=1", "--threat=l2", "--epsilon=0.5"],
            r"XLA can compile for l2 \(cauchy\)",
        ),
    ],
)
def test_combinations_that_make_no_sense_are_refused(arguments: list[str], words: str) -> None:
    from pipelines.assembly import inputs, refusals, schedule

    values = parsed(*arguments)

    def check() -> None:
        schedule.phases(values, inputs.threat(values))
        refusals.refuse_jit(values.strategy, values.jit_compile, 2, "devices")

    with pytest.raises(UserError, match=words):
        check()


@pytest.mark.parametrize(
    ("arguments", "moves"),
    [
        ([], (1.0, 1.9, 2.71)),
        (["--momentum=0.9"], (1.0, 1.9, 2.71)),
        (["--momentum=0"], (1.0, 1.0, 1.0)),
        (["--momentum=0.5"], (1.0, 1.5, 1.75)),
        (["--momentum=0.5", "--nesterov"], (1.5, 1.75, 1.875)),
    ],
)
def test_sgd_moves_by_its_momentum(arguments: list[str], moves: tuple[float, ...]) -> None:
    """Three steps of rate 1 along a gradient of 1."""
    import keras

    from pipelines.assembly import optimization

    optimizer = optimization.optimizer_maker(parsed("--optimizer=sgd", *arguments))()
    optimizer.learning_rate = 1.0
    weight = keras.Variable([0.0])
    for move in moves:
        before = float(weight[0])
        optimizer.apply([[1.0]], [weight])
        assert before - float(weight[0]) == pytest.approx(move, rel=1e-6)


@pytest.mark.parametrize("name", catalogue.THREATS)
@pytest.mark.parametrize("eps", [0.0, -0.1, 2e6, float("inf"), -float("inf"), float("nan")])
def test_radii_that_make_no_sense_are_refused(name: str, eps: float) -> None:
    from rt_tf.evaluation import refusals

    threat = catalogue.threat(name)
    with pytest.raises(UserError, match=rf"^epsilon: .* \(0, .*\] for {name}; received \S+$"):
        refusals.check_radius(threat, eps, "epsilon")
    refusals.check_radius(threat, threat.largest, "epsilon")


def test_phases_are_comma_lists_and_single_values_broadcast() -> None:
    from pipelines.assembly import inputs, schedule

    values = parsed(
        "--epochs=20,30",
        "--attack=pgd,none",
        "--bound=none,crown_ibp",
        "--kappa=0,1",
        "--epsilon=8/255",
        "--decay_epochs=5:10",
    )
    first, second = schedule.phases(values, inputs.threat(values))
    assert (first.epochs, first.attack, first.bound, first.kappa) == (20, "pgd", "none", 0.0)
    assert (second.epochs, second.attack, second.bound, second.kappa) == (
        30,
        "none",
        "crown_ibp",
        1,
    )
    assert first.eps == second.eps == 8 / 255
    assert first.decay_epochs == second.decay_epochs == (5.0, 10.0)


def test_frozen_flags_parse_back_to_the_same_values() -> None:
    values = absl_flags.FlagValues()
    groups = run.training_groups(values)
    arguments = ["--epsilon=8/255", "--kappa=0,1/3", "--decay_epochs=5:10", "--nodeterministic"]
    parsing.parse(["train", *arguments], groups, "")
    again = run.run_flags(run.frozen(values, groups))
    for group in groups:
        for name in group.names:
            assert again[name].value == values[name].value, name


def test_help_is_quick_and_lists_flags_by_group_and_the_systems() -> None:
    began = time.perf_counter()
    shown = subprocess.run(
        [sys.executable, "-m", "pipelines.train", "--helpshort"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert time.perf_counter() - began < 5.0  # TensorFlow alone takes longer when busy
    assert re.search(r"Phases .*\n  --epochs\n", shown)
    assert "pixel units" in shown
    assert "(default: 0.05)" in shown
    paths = {path.relative_to(ROOT / "configs") for path in ROOT.glob("configs/*/*.cfg")}
    systems = {path.with_suffix("") for path in paths}
    assert systems
    for system in systems:
        listed = re.search(rf"^  {system} +\S", shown, re.MULTILINE) is not None
        assert listed == (not system.name.endswith("-short")), system


def test_help_does_not_import_tensorflow() -> None:
    code = "import sys, pipelines.train; assert 'tensorflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    "path", sorted(ROOT.glob("configs/*/*.cfg")), ids=lambda p: f"{p.parent.name}/{p.stem}"
)
def test_every_flag_file_parses_and_names_itself(path: Path) -> None:
    from pipelines.assembly import inputs, schedule

    values = parsed(f"--flagfile={path}")
    name = f"{path.parent.name}/{path.stem}"
    assert values.system == name
    assert values.model_dir == f"runs/{name}"
    assert values.dataset == path.parent.name
    assert f"--flagfile=configs/{name}.cfg" in path.read_text()  # the command of its header
    assert schedule.phases(values, inputs.threat(values))


def test_a_bad_combination_is_answered_before_anything_is_loaded_or_written(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    result = command("train", "--kappa=1", "--dataset=mnist", f"--model_dir={folder}")
    assert result.returncode == 2
    assert result.stderr.startswith("error: kappa: expected 0 in a phase without a bound")
    assert result.stderr.count("\n") == 1
    assert not folder.exists()


@pytest.mark.parametrize("more", [[], ["--dry_run"]], ids=["run", "dry_run"])
def test_a_bad_combination_is_answered_without_tensorflow(more: list[str], tmp_path: Path) -> None:
    arguments = ["train", "--kappa=1", f"--model_dir={tmp_path / 'run'}", *more]
    code = f"""
import sys
from pipelines import train
try:
    train.main({arguments!r})
finally:
    assert "tensorflow" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: kappa: expected 0")


@pytest.mark.parametrize("module", ["evaluate", "certify", "export"])
def test_entry_points_refuse_what_is_no_run(module: str, tmp_path: Path) -> None:
    result = command(module, f"--model_dir={tmp_path}")
    assert result.returncode == 2
    assert result.stderr.startswith("error: model_dir: expected a directory of a run")
    assert result.stderr.count("\n") == 1


def test_a_strategy_of_an_earlier_version_is_read_by_its_name_of_now() -> None:
    assert run.run_flags({"strategy": "default"}).strategy == "auto"
    assert run.run_flags({"strategy": "mirrored"}).strategy == "mirrored"
    assert run.same("strategy", "default", "auto")
    assert not run.same("strategy", "default", "mirrored")


@pytest.mark.parametrize(
    ("text", "environment", "part"),
    [
        ("2/3", {}, (2, 3)),
        ("array", {"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "8"}, (8, 8)),
        (
            "array",
            {
                "SLURM_ARRAY_TASK_ID": "7",
                "SLURM_ARRAY_TASK_COUNT": "8",
                "SLURM_ARRAY_TASK_MIN": "5",
            },
            (3, 8),
        ),
        ("array/4", {"JOB_COMPLETION_INDEX": "0"}, (1, 4)),
    ],
)
def test_a_part_is_told_or_that_of_an_array_job(
    text: str, environment: dict[str, str], part: tuple[int, int]
) -> None:
    assert kinds.share(text, environment) == part


@pytest.mark.parametrize(
    ("text", "environment", "words"),
    [
        ("5/4", {}, "expected a part k/n"),
        ("array", {}, "expected SLURM_ARRAY_TASK_ID or JOB_COMPLETION_INDEX"),
        ("array", {"JOB_COMPLETION_INDEX": "0"}, "expected array/<number of tasks>"),
        ("array/4", {"JOB_COMPLETION_INDEX": "4"}, "received '5/4'"),
    ],
)
def test_other_parts_are_refused(text: str, environment: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        kinds.share(text, environment)
