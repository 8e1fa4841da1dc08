"""Runs around a network that was trained elsewhere: made, gone on with, refused."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from absl import flags
from keras import layers

from pipelines.flags.parsing import parse
from pipelines.flags.run import frozen, training_groups
from pipelines.runs.directory import RunDirectory
from pipelines.runs.external_network import FROZEN, given_texts, run_flags_of
from pipelines.stages import adopting, publish
from rt_tf import catalogue, data
from rt_tf.errors import UserError
from rt_tf.interchange.parity import Comparison
from rt_tf.records import merge
from rt_tf.records.record_file import line, read_lines
from tests.pipelines.conftest import command, parsed, report_of, run

QUICK = "--rungs=interval,crown_ibp"


def network(*head: layers.Layer, seed: int = 0, classes: int = 10, shape=(8, 8, 1)) -> keras.Model:
    keras.utils.set_random_seed(seed)
    tail = [layers.Flatten(), layers.Dense(12, activation="relu"), layers.Dense(classes)]
    return keras.Sequential([keras.Input(shape), *head, *tail])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    network().save(tmp_path / "my.keras")
    return tmp_path / "my.keras"


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory, digits_dir: Path) -> Path:
    """A run around a network; tests work on copies."""
    folder = tmp_path_factory.mktemp("given")
    model = network(layers.Rescaling(1 / 255))
    train = data.load("digits", digits_dir).train
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(255 * train.images(), train.labels, epochs=15, verbose=0)
    softmax = keras.Sequential([keras.Input((8, 8, 1)), *model.layers, layers.Softmax()])
    softmax.save(folder / "my.keras")
    arguments = flags_for(folder / "my.keras", folder / "run", digits_dir, "2.55")
    run("certify", *arguments, "--input_range=0,255")
    return folder


@pytest.fixture
def copy(adopted: Path, tmp_path: Path) -> Path:
    return shutil.copytree(adopted, tmp_path / "copy")


def flags_for(file: Path, folder: Path, data_dir: Path, epsilon: str = "0.01") -> list[str]:
    question = ["--dataset=digits", f"--epsilon={epsilon}", "--samples=20", QUICK]
    places = [f"--keras_file={file}", f"--model_dir={folder}", f"--data_dir={data_dir}"]
    return [*places, *question]


def contents(folder: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "lock"}


def test_the_report_says_what_the_network_is(adopted: Path) -> None:
    report = report_of(adopted / "run")
    (question,) = report["questions"]
    assert question["clean"]["rate"] >= question["certified"]["rate"] > 0.5
    origin = report["model"]["given"]
    assert origin["file"] == "my.keras"
    assert origin["input_range"] == [0.0, 255.0]
    assert [note.split()[0:3] for note in origin["notes"]] == [["the", "final", "softmax"]]
    domain = RunDirectory(adopted / "run").facts()["dataset"]["domain"]
    assert domain == {"lower": 0.0, "upper": 255.0}
    assert report["system"] == "my"
    assert report["model"]["hidden_units"] == 12
    assert report["training"].pop("history") == []
    assert set(report["training"].values()) == {None}
    assert report["provenance"]["seed"] is None
    unset = {"union_radii", "onnx_file", "cache_dir", "drop_columns", "channels", "image_size"}
    unset |= {"network_output"}
    assert set(report["provenance"]["flags"]) == {*FROZEN, "epsilon"} - unset
    page = (adopted / "run" / "report" / "report.html").read_text()
    assert "not trained here, but given as <code>my.keras</code>" in page
    assert "<h2>Training</h2>" not in page
    assert "seed None" not in page
    card = (adopted / "run" / "export" / "assets.extra" / "MODEL_CARD.md").read_text()
    assert "`my.keras`, not trained here; the final softmax is left out" in card
    assert f"- file SHA-256: `{origin['sha256']}`" in card
    assert sum(row["inputs"] for row in origin["comparisons"]) == 560
    worst = max(row["difference"] for row in origin["comparisons"])
    sentence = f"all labels agree; logits differ by at most {worst:.2g} (of "
    assert sentence in page
    assert sentence in card


def test_what_is_served_is_what_was_given(adopted: Path) -> None:
    import tensorflow as tf

    pixels = np.random.default_rng(1).uniform(0.0, 255.0, (9, 8, 8, 1)).astype(np.float32)
    served = tf.saved_model.load(str(adopted / "run" / "export"))
    original = keras.models.load_model(adopted / "my.keras")
    probabilities = tf.nn.softmax(served.serve(pixels)["logits"])
    np.testing.assert_allclose(probabilities, original(pixels), atol=1e-5)


def test_the_same_command_goes_on_and_asks_further(copy: Path, digits_dir: Path) -> None:
    folder = copy / "run"
    before = (folder / "best" / "network.keras").stat().st_mtime_ns
    arguments = flags_for(copy / "my.keras", folder, digits_dir, "2.55,5.1")
    run("certify", *arguments, "--input_range=0,255", "--threat=linf")
    assert (folder / "best" / "network.keras").stat().st_mtime_ns == before
    report = report_of(folder)
    assert report["main"] == "linf-2.55"
    assert [q["name"] for q in report["questions"]] == ["linf-2.55", "linf-5.1"]


def test_its_flag_file_reruns_it(adopted: Path) -> None:
    frozen_there = RunDirectory(adopted / "run").frozen()
    again = parsed("certify", f"--flagfile={adopted / 'run' / 'flags.cfg'}", "--model_dir=again")
    assert given_texts(run_flags_of(again)) == {**frozen_there, "model_dir": "again"}


def test_every_bound_can_be_asked_for(copy: Path) -> None:
    """At a radius at which none certifies, so that each has its turn."""
    rungs = f"--rungs={','.join(catalogue.certifying_bounds())}"
    run("certify", f"--model_dir={copy / 'run'}", "--epsilon=127.5", "--samples=3", rungs)
    header, rows = merge.read(copy / "run" / "records" / "linf-127.5" / "certify.jsonl")
    assert header["settings"]["rungs"] == catalogue.certifying_bounds()
    assert all(list(row["rungs"]) == catalogue.certifying_bounds() for row in rows)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (["--dataset=mnist"], "--dataset was digits, is now mnist"),
        (["--input_range=0,1"], "--input_range was 0,255, is now 0,1"),
        ([], "--input_range was 0,255, is now unset"),
    ],
)
def test_another_data_set_or_range_is_refused(
    changes: list[str], words: str, adopted: Path, digits_dir: Path
) -> None:
    before = contents(adopted)
    with pytest.raises(UserError, match=words) as caught:
        run("certify", *flags_for(adopted / "my.keras", adopted / "run", digits_dir), *changes)
    assert "\n" not in str(caught.value)
    assert contents(adopted) == before


def test_a_changed_file_is_refused(copy: Path, digits_dir: Path) -> None:
    network(seed=1).save(copy / "my.keras")
    words = r"--keras_file was my.keras \(SHA-256 \w{12}\), is now my.keras \(SHA-256 \w{12}\)"
    with pytest.raises(UserError, match=words):
        run(
            "certify",
            *flags_for(copy / "my.keras", copy / "run", digits_dir),
            "--input_range=0,255",
        )


def test_a_killed_beginning_is_begun_again(
    file: Path, tmp_path: Path, digits_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*arguments) -> None:
        raise KeyboardInterrupt

    arguments = flags_for(file, tmp_path / "run", digits_dir)
    with monkeypatch.context() as patch:
        patch.setattr(publish, "export_model", killed)
        with pytest.raises(KeyboardInterrupt):
            run("certify", *arguments)
    with pytest.raises(UserError, match="go on with it by the command that began it"):
        run("certify", f"--model_dir={tmp_path / 'run'}")
    run("certify", *arguments)
    assert report_of(tmp_path / "run")["main"] == "linf-0.01"


@pytest.mark.parametrize(
    ("model", "changes", "words"),
    [
        (network(classes=7), [], "expected 10 outputs, one for each class of digits; received 7"),
        (network(shape=(64,)), [], r"an input of shape \(8, 8, 1\), .*; received \(64,\)"),
        (network(layers.Activation("hard_shrink")), [], "'hard_shrink' has no relaxation"),
        (network(), ["--epsilon=0.1,7"], r"epsilon: expected a radius in \(0, 1\]"),
        (network(), ["--dataset=mnist"], "data set 'mnist': expected it prepared"),
    ],
    ids=["classes", "shape", "layer", "epsilon", "data"],
)
def test_what_cannot_be_certified_leaves_nothing(
    model: keras.Model, changes: list[str], words: str, tmp_path: Path, digits_dir: Path
) -> None:
    model.save(tmp_path / "my.keras")
    with pytest.raises(UserError, match=words) as caught:
        run("certify", *flags_for(tmp_path / "my.keras", tmp_path / "run", digits_dir), *changes)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["my.keras"]


def test_what_is_no_keras_file_is_refused(tmp_path: Path, file: Path) -> None:
    (tmp_path / "text.keras").write_text("hello")
    (tmp_path / "short.keras").write_bytes(file.read_bytes()[:2000])
    shutil.copy(file, tmp_path / "my.h5")
    for name in ("text.keras", "short.keras", "my.h5"):
        with pytest.raises(UserError, match=f"keras_file: expected .* written, whole; .*{name}"):
            run("certify", *flags_for(tmp_path / name, tmp_path / "run", tmp_path))
    for name in ("absent.keras", "."):
        with pytest.raises(UserError, match="keras_file: expected a .keras file; there is no file"):
            run("certify", *flags_for(tmp_path / name, tmp_path / "run", tmp_path))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--keras_file={file}"], "model_dir: expected --model_dir=<folder for the run>"),
        (["--keras_file={file}", "--model_dir={new}"], "expected --dataset=<its data set>"),
        (
            ["--keras_file={file}", "--model_dir={new}", "--dataset=digits"],
            "epsilon: expected --epsilon=<radius> with --keras_file",
        ),
        (["--model_dir={new}", "--dataset=digits"], "expected --keras_file=.* with --dataset"),
        (["--model_dir={new}", "--input_range=0,255"], "keras_file.* with --input_range"),
    ],
)
def test_what_is_missing_is_said(
    arguments: list[str], words: str, file: Path, tmp_path: Path
) -> None:
    filled = [argument.format(file=file, new=tmp_path / "new") for argument in arguments]
    with pytest.raises(UserError, match=words):
        run("certify", *filled)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("text", ["255", "255,0", "1,1", "0,128,255", "black,white"])
def test_an_input_range_is_two_growing_numbers(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed("certify", f"--input_range={text}")
    assert "received" in capsys.readouterr().err


def test_other_directories_are_left_alone(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected an empty directory or a run's"):
        run("certify", *flags_for(file, tmp_path, tmp_path))
    trained = RunDirectory(tmp_path / "trained")
    trained.path.mkdir()
    trained.freeze({"dataset": "digits"})
    trained.finish("train")
    with pytest.raises(UserError, match="holds a network trained there"):
        run("certify", *flags_for(file, trained.path, tmp_path))


def test_a_given_network_is_not_trained(adopted: Path) -> None:
    values = flags.FlagValues()
    groups = training_groups(values)
    parse(["train", f"--model_dir={adopted / 'run'}"], groups, "")
    with pytest.raises(UserError, match=r"is around the network of .*my\.keras"):
        RunDirectory(adopted / "run").compare(frozen(values, groups), accept_changes=True)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"verdict": "certified"', '"verdict": "perhaps"', "verdict 'perhaps' is none of"),
        ('"cause"', '"curse"', "line 2: expected cause"),
        ('"label": ', '"label": 1', "misclassified"),
        ('"index"', '"endex"', "line 2: expected an example's index"),
    ],
)
def test_damaged_records_are_said_in_one_line(old: str, new: str, words: str, copy: Path) -> None:
    path = copy / "run" / "records" / "linf-2.55" / "certify.jsonl"
    texts = [json.dumps(row).replace(old, new) for row in read_lines(path)]
    assert any(new in text for text in texts)
    path.write_bytes(b"".join(line(json.loads(text)) for text in texts))
    with pytest.raises(UserError, match=words) as caught:
        run("certify", f"--model_dir={copy / 'run'}", "--samples=20")
    assert "\n" not in str(caught.value)
    assert "delete" in str(caught.value)


def test_an_export_that_differs_is_said_in_one_line(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(copy / "run" / "export")
    monkeypatch.setattr(publish.saved_model, "PARITY", -1.0)
    words = "expected the SavedModel to compute what the network does; .* logits differ by"
    with pytest.raises(UserError, match=words):
        run("export", f"--model_dir={copy / 'run'}")
    assert contents(copy / "run" / "export") == before


def test_weights_that_are_no_numbers_certify_nothing(
    tmp_path: Path, digits_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a network is refused; and if it were not, no rung would certify anything of it."""
    model = network()
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    model.save(tmp_path / "nan.keras")
    everything = "--rungs=attack,interval,crown_ibp,crown,alpha_crown,branch_and_bound"
    arguments = [*flags_for(tmp_path / "nan.keras", tmp_path / "run", digits_dir), everything]
    with pytest.raises(UserError, match="keras_file: expected finite outputs; .*nan.keras has"):
        run("certify", *arguments)
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr(
        adopting, "compared", lambda *_: [Comparison("images", 0, 0.0, 0.0, 0.0, 0)]
    )
    run("certify", *arguments)
    (question,) = report_of(tmp_path / "run")["questions"]
    assert question["certified"]["count"] == 0
    assert question["outcomes"]["infinite"] + question["outcomes"]["misclassified"] == 20


def test_the_command_line_answers_with_one_line(tmp_path: Path, digits_dir: Path) -> None:
    network(layers.Activation("threshold", name="jump")).save(tmp_path / "my.keras")
    result = command("certify", *flags_for(tmp_path / "my.keras", tmp_path / "run", digits_dir))
    assert result.returncode == 2
    assert result.stderr.startswith("error: layer 'jump': activation 'threshold' has no relaxation")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""
    assert not (tmp_path / "run").exists()
