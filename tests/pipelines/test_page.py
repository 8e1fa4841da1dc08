"""docs/certify_your_model.md does what it says, from its networks to its last command."""

import re
import shlex
from pathlib import Path

import pytest

from rt_tf.errors import UserError
from tests.pipelines.conftest import report_of, run

PAGE = (Path(__file__).parents[2] / "docs" / "certify_your_model.md").read_text()
COMMANDS = re.findall(r"^python -m pipelines\.(\w+) (--.*)$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, digits_dir: Path) -> Path:
    """Where the page's networks are, trained for one epoch each."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    for written, here in (
        ('"digits"', f'"digits", {str(digits_dir)!r}'),
        ("epochs=10", "epochs=1"),
    ):
        assert code.count(written) == 1
        code = code.replace(written, here)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("page"))
        exec(compile(code, "the page", "exec"), {})
        return Path.cwd()


@pytest.mark.slow
def test_the_page_in_order(
    folder: Path, digits_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(folder)
    here = (f"--data_dir={digits_dir}", "--samples=30")
    for module, arguments in COMMANDS[1:]:  # the first stands for the reader's own
        words = [*shlex.split(arguments), *here[: 1 if module == "export" else 2]]
        if module == "certify" and "--rungs" not in arguments:
            words.append("--rungs=interval,crown_ibp,crown")
        if "--keras_file=unknown.keras" in words:
            with pytest.raises(UserError) as caught:
                run(module, *words)
            (shown,) = re.findall(r"^error: (.*)\.\.\.$", PAGE, re.MULTILINE)
            assert str(caught.value).startswith(shown)
        else:
            run(module, *words)
    assert {path.name for path in Path("runs").iterdir()} == {"plain", "residual", "softmax"}
    printed = capsys.readouterr().out
    for line in re.findall(
        r"^  (the final softmax .*|pixels are rescaled .*)$", PAGE, re.MULTILINE
    ):
        assert line in printed
    questions = {q["name"]: q for q in report_of(Path("runs/plain"))["questions"]}
    assert set(questions) == {"linf-0.01", "linf-0.02", "linf-0.03"}
    assert questions["linf-0.01"]["attacks"][0]["settings"]["restarts"] == 5


def test_the_page_has_the_commands_it_is_about() -> None:
    assert [module for module, _ in COMMANDS] == [*["certify"] * 6, "evaluate", "export"]
