"""One bit of a run's network or export: told in a line, or written anew from what is whole."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from pipelines.runs import restoring
from pipelines.runs.directory import RunDirectory
from pipelines.stages import publish
from rt_tf import layers
from rt_tf.domain import UNIT
from rt_tf.errors import UserError
from rt_tf.serving import saved_model
from rt_tf.training.loop.checkpoints import save_network

IMAGES = np.random.default_rng(0).random((3, 2, 2, 1), np.float32)
DATASET = SimpleNamespace(validation=SimpleNamespace(images=lambda rows: IMAGES[rows]), domain=UNIT)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a network and its export."""
    keras.utils.set_random_seed(3)
    pixels = keras.Input((2, 2, 1))
    hidden = layers.Dense(5, activation="relu")(layers.Flatten()(pixels))
    network = keras.Model(pixels, layers.Dense(3)(hidden))
    run = RunDirectory(tmp_path_factory.mktemp("whole"))
    run.freeze({"dataset": "digits", "threat": "linf", "epsilon": "0.05"})
    save_network(network, run.network)
    publish.export_model(run, DATASET, publish.inputs.threat(publish.run_flags(run.frozen())))
    return run.path


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> RunDirectory:

    return RunDirectory(shutil.copytree(whole, tmp_path / "run"))


def flip(path: Path, place: float) -> None:
    """One bit, so far into a file."""
    data = bytearray(path.read_bytes())
    data[int(place * (len(data) - 1))] ^= 16
    path.write_bytes(bytes(data))


def read(run: RunDirectory) -> keras.Model | str:
    """The network, or what is said of it."""
    try:
        return restoring.load_network(run)
    except UserError as error:
        return str(error)


@pytest.mark.parametrize("place", np.linspace(0.0, 1.0, 23).tolist())
def test_a_network_with_a_changed_bit_is_the_same_or_told_of(run, place, capsys):
    before = saved_model.network_checksum(restoring.load_network(run))
    flip(run.network, place)
    network = read(run)
    if isinstance(network, str):
        assert network.startswith("model_dir: expected a readable network")
        assert "\n" not in network
        return
    assert saved_model.network_checksum(network) == before
    assert saved_model.network_checksum(keras.models.load_model(run.network)) == before


def test_changed_weights_are_taken_from_the_export(run, capsys):
    before = saved_model.network_checksum(restoring.load_network(run))
    assert capsys.readouterr().out == ""
    data = run.network.read_bytes()
    flip(run.network, data.index(b"model.weights.h5") / len(data) + 0.1)
    network = restoring.load_network(run)
    output = capsys.readouterr().out
    assert (
        "network.keras was damaged (model.weights.h5 is not as it was written): made again"
        in output
    )
    assert saved_model.network_checksum(network) == before
    assert saved_model.network_checksum(restoring.load_network(run)) == before
    assert capsys.readouterr().out == ""


def test_a_damaged_network_and_a_damaged_export_are_told_in_a_line(run):
    flip(run.network, 0.9)
    flip(run.export / "variables" / "variables.data-00000-of-00001", 0.5)
    with pytest.raises(UserError, match="expected a readable network.*nor can it be made again"):
        restoring.load_network(run)


def logits(run: RunDirectory) -> np.ndarray:
    served = saved_model.load(run.export)
    return served.serve(IMAGES)["logits"].numpy()


@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
@pytest.mark.parametrize("place", [0.0, 0.5])
def test_an_export_with_a_changed_bit_is_not_loaded_but_written_anew(run, name, place, capsys):
    before = logits(run)
    flip(run.export / name, place)
    assert saved_model.damage(run.export) == name
    with pytest.raises(UserError, match=f"{name} is damaged; python -m pipelines.export"):
        saved_model.load(run.export)
    with pytest.raises(UserError, match=f"{name} is damaged"):
        saved_model.attach(run.export, {})
    if place == 0.5:
        publish.mend_export(run, DATASET)
        assert f"{name} was damaged: exported anew from" in capsys.readouterr().out
        np.testing.assert_array_equal(logits(run), before)


def test_a_missing_file_is_damage_and_a_verdict_is_none(run):
    (run.export / "BLESSED").write_text("verified_accuracy: 1\n")
    saved_model.attach(run.export, {"report.json": "{}"})
    (run.export / "BLESSED").unlink()
    assert saved_model.damage(run.export) is None
    (run.export / "fingerprint.pb").unlink(missing_ok=True)
    (run.export / "saved_model.pb").unlink()
    assert saved_model.damage(run.export) in ("fingerprint.pb", "saved_model.pb")
