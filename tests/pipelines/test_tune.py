"""Searching flags: resumable, not ended by a failed trial, and read back from TensorBoard."""

import json
from pathlib import Path

import pytest
from absl import flags as absl_flags
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pipelines import tune
from pipelines.flags import run
from pipelines.flags.cluster import cluster_group
from pipelines.flags.parsing import parse
from pipelines.flags.space import read_space
from rt_tf.errors import UserError
from tests.pipelines.conftest import command

TINY = ("--model=digits_fc", "--epochs=2", "--epsilon=0.02", "--monitor_samples=50")
TINY += ("--monitor_attack_steps=1", "--bound=interval", "--kappa=0.5", "--seed=3")


def search(space: dict, folder: Path, digits_dir: Path, *arguments: str) -> None:
    """`python -m pipelines.tune`, in this process."""
    file = folder / "space.json"
    file.write_text(json.dumps(space))
    values = absl_flags.FlagValues()
    groups = [
        tune.tune_group(values),
        cluster_group(values),
        *run.training_groups(values),
    ]
    words = (*TINY, f"--model_dir={folder / 'study'}", f"--data_dir={digits_dir}", *arguments)
    parse(["tune", f"--space={file}", *words], groups, "")
    tune.tune(values, run.frozen(values, groups[2:]))


RATES = {"learning_rate": {"kind": "choice", "values": [0.0, 0.01, 0.02]}}


@pytest.mark.slow
def test_a_killed_search_goes_on_and_the_best_is_kept(
    tmp_path: Path, digits_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from pipelines.stages import tuning

    begun: list[str] = []
    whole = tuning.outcome

    def interrupted(trial: tuning.Trial, *arguments: object) -> tuning.Outcome:
        begun.append(trial.number)
        if len(begun) == 2:
            raise KeyboardInterrupt
        return whole(trial, *arguments)

    monkeypatch.setattr(tuning, "outcome", interrupted)
    arguments = ("--tuner=random", "--trials=3")
    with pytest.raises(KeyboardInterrupt):
        search(RATES, tmp_path, digits_dir, *arguments)
    search(RATES, tmp_path, digits_dir, *arguments)
    assert len(begun) == 4
    assert sorted(set(begun)) == sorted([begun[0], *begun[2:]])  # none twice but the killed one
    study = tmp_path / "study"
    trials = [json.loads(path.read_text()) for path in study.glob("trials/*/trial.json")]
    assert sorted(trial["learning_rate"] for trial in trials) == ["0.0", "0.01", "0.02"]
    best = max(trials, key=lambda trial: trial["verified"])
    best_flags = (study / "best.cfg").read_text()
    assert f"--learning_rate={best['learning_rate']}\n" in best_flags
    assert "--monitor_bound=interval\n" in best_flags  # the same question for all trials
    assert "--select_by=verified\n" in best_flags
    assert float(best["learning_rate"]) > 0.0
    assert f"--flagfile={study}/best.cfg" in capsys.readouterr().out
    search(RATES, tmp_path, digits_dir, *arguments)
    assert len(begun) == 4  # a finished search has nothing left to try
    events = EventAccumulator(str(next((study / "logs").iterdir()))).Reload()
    assert (
        "hparams" in events.summary_metadata["_hparams_/session_start_info"].plugin_data.plugin_name
    )
    assert "verified" in events.Tags()["tensors"]
    with pytest.raises(UserError, match="--space was .* is now"):
        search(
            {"learning_rate": {"kind": "choice", "values": [0.5]}}, tmp_path, digits_dir, *arguments
        )


@pytest.mark.slow
def test_trials_of_a_cluster_are_those_of_one_process(tmp_path: Path, digits_dir: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    chosen = ("--tuner=random", "--trials=3", f"--data_dir={digits_dir}")
    search(RATES, one, digits_dir, *chosen)
    words = (f"--space={one}/space.json", f"--model_dir={two}/study", "--cluster=local:2")
    result = command("tune", *TINY, *chosen, *words)
    assert result.returncode == 0, result.stderr
    scores = [
        {path.parent.name: path.read_text() for path in folder.glob("study/trials/*/trial.json")}
        for folder in (one, two)
    ]
    assert scores[0] == scores[1]
    assert len(scores[0]) == 3


@pytest.mark.slow
def test_a_failed_trial_does_not_end_the_search(
    tmp_path: Path, digits_dir: Path, capsys: pytest.CaptureFixture
) -> None:
    ramps = {"epsilon_ramp_epochs": {"kind": "choice", "values": [50, 60, 70, 80, 1]}}
    search(ramps, tmp_path, digits_dir, "--tuner=random", "--trials=5")
    output = capsys.readouterr().out
    assert output.count("failed: ramps: expected warm-up and ramps to end within") == 4
    assert "--epsilon_ramp_epochs=1\n" in (tmp_path / "study" / "best.cfg").read_text()


@pytest.mark.parametrize(
    "settings",
    [
        {"kind": "choice", "values": []},
        {"kind": "choice", "values": [0.5, 1]},
        {"kind": "float", "min_value": 0, "max_value": 1, "sampling": "log"},
        {"kind": "float", "min_value": 1, "max_value": 0.5},
    ],
)
def test_what_keras_tuner_does_not_take_is_refused_in_one_line(
    settings: dict, tmp_path: Path, digits_dir: Path
) -> None:
    with pytest.raises(UserError, match="space: 'kappa': .+"):
        search({"kappa": settings}, tmp_path, digits_dir, "--trials=1")
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--objective=attacked", "--monitor_attack_steps=0"], "objective: .* received 'attacked'"),
        (["--epochs=2,2", "--new_member=false,true"], "new_member: expected false"),
    ],
)
def test_searches_that_cannot_be_scored_are_refused(
    arguments: list[str], words: str, tmp_path: Path, digits_dir: Path
) -> None:
    with pytest.raises(UserError, match=words):
        search(RATES, tmp_path, digits_dir, *arguments)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ({}, "expected names of flags"),
        ({"epsilon": {"kind": "float"}}, "shape the training .* received 'epsilon'"),
        ({"lerning_rate": {"kind": "float"}}, "received 'lerning_rate'"),
        ({"kappa": {"values": [1]}}, '"kind" of float, .*; received None'),
        ({"kappa": {"kind": "float", "minimum": 0}}, "expected max_value, .*; received minimum"),
        ({"kappa": {"kind": "float", "min_value": 0}}, "expected max_value, .*received min_value"),
        ({"init": {"kind": "choice"}}, "expected ordered, values for 'init'; received none"),
        (
            {"kappa": {"kind": "float", "min_value": 0, "max_value": 2}},
            r"in \[0, 1\]; received '2'",
        ),
        ({"init": {"kind": "choice", "values": ["keras", "she"]}}, "one of keras, shi"),
    ],
)
def test_spaces_that_make_no_sense_are_refused(space: dict, words: str, tmp_path: Path) -> None:
    values = absl_flags.FlagValues()
    run.training_groups(values)
    (tmp_path / "space.json").write_text(json.dumps(space))
    with pytest.raises(UserError, match=words):
        read_space(str(tmp_path / "space.json"), values)
