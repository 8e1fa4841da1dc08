"""Flag files are found by name in every folder; one of the working folder wins."""

from pathlib import Path

import pytest
from absl import flags as absl_flags

from pipelines.flags import flag_files, parsing, run
from pipelines.flags.space import read_space
from rt_tf.errors import UserError


def parsed(*arguments: str) -> absl_flags.FlagValues:
    values = absl_flags.FlagValues()
    return parsing.parse(["train", *arguments], run.training_groups(values), "about")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of each test: an empty one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["configs/digits/ibp.cfg", "digits/ibp.cfg", "digits/ibp"])
def test_a_system_is_found_from_any_folder(name: str) -> None:
    assert parsed(f"--flagfile={name}").system == "digits/ibp"


def test_a_system_that_names_another_one_is_found_with_it() -> None:
    values = parsed("--flagfile=mnist/goal_01")
    assert (values.system, values.epsilon) == ("mnist/goal_01", 0.1)
    assert values.ema == parsed("--flagfile=mnist/sabr").ema


@pytest.mark.parametrize("name", ["configs/digits/ibp.cfg", "digits/ibp"])
def test_a_file_of_the_working_folder_wins(name: str, elsewhere: Path) -> None:
    path = elsewhere / name
    path.parent.mkdir(parents=True)
    path.write_text("# of my own\n// in two ways\n\n--flagfile=mnist/ibp\n--system=mine\n")
    values = parsed(f"--flagfile={name}")
    assert (values.system, values.dataset) == ("mine", "mnist")


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("digits/ipb", "nearest: digits/ibp;"),
        ("configs/mnist/goal_1.cfg", "nearest: mnist/goal_01, mnist/goal_03, mnist/colt;"),
        ("/nowhere/x.cfg", "is no file; --help lists all systems"),
        ("configs/../setup.cfg", "is no file"),
        ("digits", "is no file"),
    ],
)
def test_an_unknown_system_gets_a_line_with_the_nearest(
    name: str, nearest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        parsed(f"--flagfile={name}")
    output = capsys.readouterr().err
    assert output.startswith("error: flagfile: expected a file of lines --name=value, or a system")
    assert nearest in output
    assert output.count("\n") == 1


def test_files_that_name_one_another_are_refused(elsewhere: Path) -> None:
    (elsewhere / "a.cfg").write_text("--flagfile=b.cfg\n")
    (elsewhere / "b.cfg").write_text("--flagfile=a.cfg\n")
    with pytest.raises(UserError, match="expected files that do not name one another; .*a.cfg"):
        flag_files.with_lines(["train", "--flagfile=a.cfg"])


def test_what_follows_two_dashes_is_no_flag_file() -> None:
    line = ["train", "--seed=1", "--", "--flagfile=digits/ibp"]
    assert flag_files.with_lines(line) == line


def test_every_name_stands_for_its_file() -> None:
    names = flag_files.system_names()
    assert {"digits/ibp", "cifar10/trades", "mnist/goal_03"} < set(names)
    assert [flag_files.existing(name) for name in names] == [
        flag_files.CONFIGS / f"{name}.cfg" for name in names
    ]


def test_a_space_is_found_as_a_system_is() -> None:
    space = read_space("configs/digits/space.json", parsed())
    assert space == read_space("digits/space.json", parsed())
    assert "learning_rate" in space.flags
