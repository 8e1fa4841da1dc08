"""Runs on a user's own data, networks and plug-ins, from flags to reports."""

import shutil
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from absl import flags as absl_flags
from PIL import Image
from sklearn.datasets import load_digits, load_wine

from pipelines.assembly import devices, inputs, networks, optimization
from pipelines.flags.data import reading_settings
from pipelines.flags.parsing import parse
from pipelines.flags.plugins import import_plugins
from pipelines.flags.run import run_flags, training_groups
from pipelines.runs.directory import RunDirectory
from pipelines.runs.external_network import checksum
from pipelines.runs.provenance import check_data, check_model_file
from pipelines.stages import training
from rt_tf import catalogue
from rt_tf.errors import UserError
from rt_tf.training.phases import Phase
from tests.pipelines.conftest import SMALL, command, report_of, run, trained

PLUGIN = Path(__file__).parents[2] / "examples" / "plugin"


def flag_values(*arguments: str) -> absl_flags.FlagValues:
    values = absl_flags.FlagValues()
    parse(["train", *arguments], training_groups(values), "")
    return values


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scikit-learn's noughts, ones and twos, of which noughts are few."""
    folder = tmp_path_factory.mktemp("pictures") / "figures"
    images, labels = load_digits(return_X_y=True)
    wanted = [(i, label) for i, label in enumerate(labels[:900]) if label < 3 and (label or i % 3)]
    for i, label in wanted:
        path = folder / ("nought", "one", "two")[label] / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((images[i].reshape(8, 8) * 15.9).astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV file of scikit-learn's wines, whose classes have names."""
    path = tmp_path_factory.mktemp("table") / "wine.csv"
    wine = load_wine()
    rows = [
        ",".join([*map(repr, row.tolist()), wine.target_names[label]])
        for row, label in zip(wine.data, wine.target, strict=True)
    ]
    path.write_text("\n".join([",".join([*wine.feature_names, "kind"]), *rows]))
    return path


@pytest.fixture(scope="module")
def network_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .keras file of a network for 8x8 images of three classes, that ends in a softmax."""
    layers = [keras.layers.Flatten(), keras.layers.Dense(20, "relu")]
    network = keras.Sequential([keras.Input((8, 8, 1)), *layers, keras.layers.Dense(3, "softmax")])
    path = tmp_path_factory.mktemp("network") / "own.keras"
    network.save(path)
    return path


def test_a_folder_of_images_trains_a_network_of_a_file(
    pictures: Path, network_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = (f"--dataset=folder:{pictures}", f"--model={network_file}", "--class_weights=balanced")
    small = [flag for flag in SMALL if not flag.startswith("--model=")]
    folder = trained(tmp_path / "run", *small, *own, "--batch_size=50", "--validation=20")
    report = report_of(folder)
    assert report["data"]["class_names"] == ["nought", "one", "two"]
    assert report["data"]["name"] == "figures"
    assert report["data"]["notes"][0].startswith("test: ")
    card = (folder / "export" / "assets.extra" / "MODEL_CARD.md").read_text()
    assert "classes: nought, one, two" in card
    assert "held out with seed 0" in card
    page = (folder / "report" / "report.html").read_text()
    assert "<td>nought</td>" in page
    run("certify", f"--model_dir={folder}", "--epsilon=0.01", "--samples=5", "--rungs=crown")
    assert {q["epsilon"] for q in report_of(folder)["questions"]} == {0.01, 0.025, 0.05}
    assert "on the figures test split" in capsys.readouterr().out
    begun = keras.models.load_model(network_file).get_weights()
    ended = keras.models.load_model(folder / "best" / "network.keras").get_weights()
    assert [w.shape for w in begun] == [w.shape for w in ended]
    assert not np.array_equal(begun[0], ended[0])


def test_another_file_under_the_same_name_is_refused(network_file: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(network_file, tmp_path / "own.keras"))
    values, folder = flag_values(f"--model={file}"), RunDirectory(tmp_path / "run")
    folder.note(model_file={"name": "own.keras", "sha256": checksum(file)})
    check_model_file(folder, values)
    network = keras.models.load_model(file)
    network.layers[-1].bias.assign_add([1.0, 0.0, 0.0])
    network.save(file)
    with pytest.raises(UserError, match="model: expected the file that .* was begun with"):
        check_model_file(folder, values)


def test_a_table_trains_certifies_and_tells_its_columns(
    table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = (f"--dataset=csv:{table}", "--label=kind", "--drop_columns=hue", "--scaling=zscore")
    small = [flag for flag in SMALL if not flag.startswith("--model=")]
    shape = ("--model=table_fc", "--normalization=dataset", "--batch_size=20")
    folder = trained(tmp_path / "run", *small, *own, *shape)
    report = report_of(folder)
    columns = report["data"]["columns"]
    assert columns["scaling"] == "zscore"
    names = [column["name"] for column in columns["each"]]
    assert names[0] == "alcohol"
    assert "hue" not in names
    assert report["data"]["class_names"] == ["class_0", "class_1", "class_2"]
    assert report["data"]["domain"]["lower"][0] < -1.0
    card = (folder / "export" / "assets.extra" / "MODEL_CARD.md").read_text()
    assert "read as (value - offset) / unit" in card
    assert "12 columns" in card
    run("certify", f"--model_dir={folder}", "--epsilon=0.01", "--samples=5")
    run("evaluate", f"--model_dir={folder}", "--suite=blackbox", "--samples=3")
    assert "left out: uniform_noise, which is for inputs of one range" in capsys.readouterr().out
    (suite,) = report_of(folder)["suites"]
    assert {row["id"].split("-")[0] for row in suite["rows"]} == {"square"}
    with pytest.raises(UserError, match="eval_attack: expected another attack than foolbox_pgd"):
        run("evaluate", f"--model_dir={folder}", "--eval_attack=foolbox_pgd")
    path = shutil.copy(table, tmp_path / "wine.csv")
    lines = Path(path).read_text().splitlines()
    Path(path).write_text("\n".join(lines[:-3]))
    changed = inputs.load_data(
        run_flags(RunDirectory(folder).frozen() | {"dataset": f"csv:{path}"})
    )
    with pytest.raises(UserError, match="dataset: expected the data that .* was begun with"):
        check_data(RunDirectory(folder), changed)


def test_a_network_of_a_file_is_certified_on_a_table(table: Path, tmp_path: Path) -> None:
    layers = [keras.layers.Dense(8, "relu"), keras.layers.Dense(3)]
    keras.Sequential([keras.Input((13,)), *layers]).save(tmp_path / "own.keras")
    given = (f"--keras_file={tmp_path / 'own.keras'}", f"--dataset=csv:{table}", "--label=kind")
    run("certify", f"--model_dir={tmp_path / 'run'}", *given, "--epsilon=0.001", "--samples=9")
    (question,) = report_of(tmp_path / "run")["questions"]
    assert question["certified"]["n"] == 9
    assert report_of(tmp_path / "run")["data"]["columns"]["each"][12]["name"] == "proline"


def test_balanced_classes_have_the_same_share_of_the_loss(pictures: Path) -> None:
    values = flag_values(
        f"--dataset=folder:{pictures}", "--validation=20", "--class_weights=balanced"
    )
    dataset = inputs.load_data(values)
    weights = optimization.settings(values, [Phase(1)], dataset).class_weights
    counts = np.bincount(dataset.train.labels)
    assert counts[0] < 0.8 * counts[1]
    np.testing.assert_allclose(counts * weights, len(dataset.train) / 3)
    with pytest.raises(UserError, match="class_weights: expected none with --mixup"):
        optimization.settings(values, [Phase(1, mixup=1.0)], dataset)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--dataset=digits", "--label=kind"], "label: expected none with --dataset=digits"),
        (["--dataset=folder:x", "--scaling=none"], "scaling: expected none with .*folder:x"),
        (["--dataset=npz:x", "--image_size=8"], "image_size: expected none .*tfds:..., folder:..."),
        (["--dataset=csv:x", "--skip_broken"], "skip_broken: expected none with --dataset=csv:x"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(arguments: list[str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        reading_settings(flag_values(*arguments))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--model=own.keras"], "model: expected a .keras file; there is no file own.keras"),
        (["--model={file}", "--batch_norm"], "batch_norm: expected False, the default"),
        (["--model={file}", "--precision=mixed_float16"], "precision: expected float32"),
        (
            ["--model={file}"],
            r"model: expected inputs of \[None, 8, 8, 1\] and outputs of .*, 10\]",
        ),
        (["--model=own_network:wide"], r"outputs of .*own_network:wide has .* and \[None, 5\]"),
        (
            ["--model=own_network:noargs"],
            "noargs fails with TypeError: noargs.. takes 0 positional",
        ),
        (["--model=own_network:layer"], "expected a functional or Sequential Keras model"),
        (
            ["--model=own_network:plain", "--model_scale=2"],
            "model_scale: .*without a parameter scale",
        ),
    ],
)
def test_networks_that_do_not_fit_are_one_line(
    network_file: Path,
    digits_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    (tmp_path / "own_network.py").write_text(
        "import keras\n"
        "def net(shape, classes):\n"
        "    layers = [keras.layers.Flatten(), keras.layers.Dense(classes)]\n"
        "    return keras.Sequential([keras.Input(shape), *layers])\n"
        "def plain(shape, classes): return net(shape, classes)\n"
        "def noargs(): return None\n"
        "def wide(shape, classes): return net(shape, 5)\n"
        "def layer(shape, classes): return keras.layers.Dense(classes)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "own_network", raising=False)
    given = [argument.format(file=network_file) for argument in arguments]
    values = flag_values(f"--data_dir={digits_dir}", *given)
    with pytest.raises(UserError, match=words):
        networks.network_maker(values, inputs.load_data(values))()


def test_a_function_gets_the_options_that_it_has_parameters_for(
    digits_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own_wide.py").write_text(
        "import keras\n"
        "def net(shape, classes, scale):\n"
        "    layers = [keras.layers.Flatten(), keras.layers.Dense(int(10 * scale), 'relu')]\n"
        "    return keras.Sequential([keras.Input(shape), *layers, keras.layers.Dense(classes)])\n"
    )
    monkeypatch.chdir(tmp_path)
    values = flag_values(f"--data_dir={digits_dir}", "--model=own_wide:net", "--model_scale=3")
    network = networks.network_maker(values, inputs.load_data(values))()
    assert network.layers[1].units == 30


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--threat=wasserstein", "--epsilon=1"], "threat: expected another than wasserstein"),
        (["--eval_attack=foolbox_pgd"], "eval_attack: expected another attack than foolbox_pgd"),
        (["--augment"], "augment: expected false for breast_cancer"),
        (["--cutout=2"], "cutout: expected 0 for breast_cancer"),
        (["--flips=false"], "flips: expected true without --augment"),
    ],
)
def test_what_does_not_fit_a_table_is_refused_before_training(
    arguments: list[str], words: str, tmp_path: Path
) -> None:
    values = flag_values("--dataset=breast_cancer", "--model=table_fc", *arguments)
    with pytest.raises(UserError, match=words):
        training.checked_loop(values, inputs.load_data(values), tmp_path, devices.strategy())


@pytest.fixture
def rows() -> None:
    """The tables of the catalogue, which are as before after the test."""
    before = {kind: dict(table) for kind, table in catalogue.TABLES.items()}
    yield
    for kind, table in catalogue.TABLES.items():
        table.clear()
        table.update(before[kind])
    sys.modules.pop("rings_plugin", None)


@pytest.mark.usefixtures("rows")
def test_plug_ins_of_flag_files_and_of_runs_are_imported_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(PLUGIN)
    assert "better" not in catalogue.BOUNDS
    import_plugins(["train", "--flagfile=rings.cfg"])
    assert "better" in catalogue.rungs()
    values = flag_values("--flagfile=rings.cfg")
    assert (values.dataset, list(values.rungs)) == ("rings", ["better", "crown"])
    assert inputs.load_data(values).shape == (2,)
    del catalogue.BOUNDS["better"]
    sys.modules.pop("rings_plugin")
    (tmp_path / "flags.cfg").write_text("--import=rings_plugin\n")
    import_plugins(["certify", "--model_dir", str(tmp_path)])
    assert "better" in catalogue.BOUNDS


@pytest.mark.usefixtures("rows")
def test_a_plug_in_may_not_take_a_name_that_is_taken() -> None:
    entry = catalogue.BOUNDS["crown"]
    catalogue.add("bound", "crown", entry)  # imported twice: the same row
    with pytest.raises(UserError, match="bound: expected a name that is free; 'crown' stands for"):
        catalogue.add("bound", "crown", entry._replace(summary="another"))
    with pytest.raises(
        UserError, match="kind: expected one of threat, attack, .*; received 'bond'"
    ):
        catalogue.add("bond", "own", entry)


def test_a_plug_in_that_fails_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "failing_plugin.py").write_text("\nimport keras\nraise OSError('no licence')\n")
    monkeypatch.chdir(tmp_path)
    for name, words in (
        ("failing_plugin", "fails with OSError: no licence"),
        ("absent_plugin", "received 'absent_plugin'"),
    ):
        with pytest.raises(SystemExit):
            import_plugins(["train", f"--import={name}"])
        assert words in capsys.readouterr().err


@pytest.mark.slow
def test_the_plug_in_of_the_examples_trains_certifies_and_attacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(PLUGIN))
    folder = tmp_path / "run"
    flags_of_run = (f"--flagfile={PLUGIN / 'rings.cfg'}", f"--model_dir={folder}")
    done = command("train", *flags_of_run)
    assert done.returncode == 0, done.stderr
    again = command("certify", f"--model_dir={folder}", "--epsilon=0.07", "--rungs=better,crown")
    assert again.returncode == 0, again.stderr
    question = next(q for q in report_of(folder)["questions"] if q["epsilon"] == 0.05)
    assert question["certified"]["rate"] > 0.9
    rungs = {rung["rung"]: rung["certified"] for rung in question["certificate"]["rungs"]}
    assert rungs["better"] > 0
    assert question["attacks"][0]["name"].startswith("corners")
    monkeypatch.delenv("PYTHONPATH")
    lost = command("certify", f"--model_dir={folder}", "--epsilon=0.07")
    assert lost.returncode == 2
    assert "import in" in lost.stderr
    assert "received 'rings_plugin'" in lost.stderr
