"""What names and foreign words become on a terminal."""

import ast
import io
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import console
from pipelines.flags.parsing import MOST, one_line
from rt_tf.evaluation.terminal import progress_bars

HOSTILE = "[/x] [bold]b[/] :smile:"


def test_names_are_shown_as_they_are() -> None:
    shown = io.StringIO()
    screen = console.terminal(file=shown, force_terminal=True, width=120, color_system=None)
    screen.print(HOSTILE, "a")
    with progress_bars(screen) as bar:
        bar.add_task(HOSTILE, total=1, status=HOSTILE)
    assert f"{HOSTILE} a\n" in shown.getvalue()
    assert shown.getvalue().count(HOSTILE) >= 3


def test_consoles_are_made_in_one_place() -> None:
    """Help, ends of commands, tables, VNN-COMP's answer are lines whatever the form of output."""
    made = {
        (path.name, node.func.id)
        for path in Path(console.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    consoles = {"Console", "Terminal", "JsonTerminal"}
    assert {file for file, called in made if called in consoles} == set()
    printing = {file for file, called in made if called == "print"}
    assert printing == {"commands.py", "compare.py", "console.py", "parsing.py", "verifying.py"}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("two\nlines,\ttab", "two lines, tab"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("gr\u00fc\u00df\u202e", "gr\u00fc\u00df\\u202e"),
        ("\udc80", "\\udc80"),
        ("n" * (MOST + 1), "n" * MOST + " ..."),
    ],
)
def test_foreign_text_is_one_line(text: str, shown: str) -> None:
    assert one_line(text) == shown


FOLDER = "runs/sp ace (x) $HOME 'q'"


def test_commands_can_be_pasted_whatever_a_folder_is_called() -> None:
    shown = io.StringIO()
    console.tell_next(console.terminal(file=shown, soft_wrap=True), FOLDER, certifiable=True)
    head, *commands = shown.getvalue().splitlines()
    words = [shlex.split(line.replace("<radius>", "0.1")) for line in commands]
    assert head == "next:"
    assert words == [
        ["open", f"{FOLDER}/report/report.html"],
        ["tensorboard", f"--logdir={FOLDER}/logs"],
        ["python", "-m", "pipelines.certify", f"--model_dir={FOLDER}", "--epsilon=0.1"],
        ["python", "-m", "pipelines.evaluate", f"--model_dir={FOLDER}", "--eval_restarts=10"],
    ]


def test_quiet_commands_tell_nothing_next(capsys: pytest.CaptureFixture) -> None:
    for quiet in (True, False):
        console.tell_next(console.console(quiet), "runs/a", certifiable=False)
        assert ("--eval_restarts" in capsys.readouterr().out) is not quiet


def bare_values(tree: ast.AST) -> list[int]:
    """Lines of commands in f-strings, of which a flag's value is put as it is, but for numbers."""
    return [
        text.lineno
        for text in ast.walk(tree)
        if isinstance(text, ast.JoinedStr)
        and re.search("python -m|tensorboard ", ast.unparse(text))
        for before, part in zip(text.values, text.values[1:], strict=False)
        if isinstance(part, ast.FormattedValue)
        and re.search(r"--\w+=$", str(getattr(before, "value", "")))
        and part.conversion == -1
        and "shlex.quote" not in ast.unparse(part)
    ]


def test_every_command_that_is_told_has_its_values_quoted() -> None:
    root = Path(console.__file__).parents[1]
    unquoted = {
        f"{path.relative_to(root)}:{line}"
        for folder in ("pipelines", "rt_tf", "benchmarks")
        for path in root.glob(f"{folder}/**/*.py")
        for line in bare_values(ast.parse(path.read_text()))
    }
    assert unquoted == set()
    assert bare_values(ast.parse('f"python -m pipelines.export --model_dir={x} writes it"')) == [1]


MANY_LINES = """
import sys
from pipelines.console import one_line_errors, terminal
show = terminal().print if "rich" in sys.argv else print
with one_line_errors():
    for number in range(100000):
        show("line", number)
"""


@pytest.mark.parametrize(
    "command",
    [["-m", "pipelines.train", "--help"], ["-c", MANY_LINES], ["-c", MANY_LINES, "rich"]],
    ids=["help", "print", "rich"],
)
def test_a_reader_that_leaves_ends_a_command_without_a_word(command: list[str]) -> None:
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    if "-c" in command:
        assert process.stdout.readline() == b"line 0\n"
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait(60) == 128 + signal.SIGPIPE


def test_another_pipe_that_breaks_keeps_its_traceback() -> None:
    with pytest.raises(BrokenPipeError), console.one_line_errors():
        raise BrokenPipeError
