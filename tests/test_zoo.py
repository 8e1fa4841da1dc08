"""The zoo: networks to begin with, whose figures are what they say."""

from pathlib import Path

import numpy as np
import pytest

import rt_tf
from benchmarks.zoo import OF_ONE_MACHINE, table
from pipelines.certify import GROUPS
from pipelines.flags.parsing import parse
from pipelines.runs.zoo import place
from rt_tf import data, zoo
from rt_tf.errors import UserError
from rt_tf.serving.saved_model import network_checksum

PAGE = Path(__file__).parents[1] / "docs" / "zoo.md"


def test_the_page_has_the_table() -> None:
    assert table() in PAGE.read_text()


@pytest.mark.parametrize("name", zoo.names())
def test_a_network_is_small_whole_and_of_no_machine(name: str) -> None:
    folder = zoo.folder(name)
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 2**20
    run = rt_tf.load(f"zoo:{name}")
    assert network_checksum(run.model) == run.report["model"]["network_sha256"]
    texts = [file.read_text() for file in files if file.suffix in (".json", ".md", ".jsonl")]
    assert not any(f'"{flag}"' in text for text in texts for flag in OF_ONE_MACHINE)
    assert run.report["system"] == name


@pytest.mark.parametrize("name", [n for n in zoo.names() if not n.startswith("mnist")])
def test_a_network_answers_as_its_report_says(name: str, digits_dir: Path) -> None:
    run = rt_tf.load(f"zoo:{name}")
    test = data.load(run.report["data"]["name"], digits_dir).test
    assert test.checksum == run.report["data"]["checksum"]
    right = np.asarray(run.model(test.images())).argmax(axis=1) == test.labels
    (main,) = (q for q in run.report["questions"] if q["name"] == run.report["main"])
    assert right.sum() == main["clean"]["count"]
    few = slice(0, 20)
    result = rt_tf.certify(
        run, test.images(few), test.labels[few], eps=main["epsilon"], progress=False
    )
    assert result.certified.sum() >= 0.8 * right[few].sum()


def flag_values(*arguments: str):
    from absl import flags

    values = flags.FlagValues()
    parse(["certify", *arguments], [make(values) for make in GROUPS], "")
    return values


def test_the_flags_of_a_network_are_its_own_unless_others_are_given() -> None:
    values = flag_values("--model_dir=zoo:digits/ibp")
    place(values)
    assert (values.model_dir, values.dataset, values.threat) == (
        "runs/zoo/digits/ibp",
        "digits",
        "linf",
    )
    assert list(values.epsilon) == [0.05]
    assert Path(values.keras_file).is_file()
    values = flag_values("--model_dir=zoo:digits/ibp", "--epsilon=0.01,0.02", "--threat=l2")
    place(values)
    assert (list(values.epsilon), values.threat) == ([0.01, 0.02], "l2")


def test_an_unknown_network_is_refused_with_those_that_exist() -> None:
    with pytest.raises(UserError, match="zoo: expected one of .*digits/ibp.*; received 'digits/x'"):
        place(flag_values("--model_dir=zoo:digits/x"))
