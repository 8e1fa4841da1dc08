"""What names and foreign words become on a terminal."""

import ast
import io
from pathlib import Path

import pytest

from pipelines import console
from pipelines.one_line import MOST, one_line

HOSTILE = "[/x] [bold]b[/] :smile:"


def test_names_are_shown_as_they_are() -> None:
    shown = io.StringIO()
    screen = console.terminal(file=shown, force_terminal=True, width=120, color_system=None)
    screen.print(HOSTILE, "a")
    with console.progress(screen) as bar:
        bar.add_task(HOSTILE, total=1, status=HOSTILE)
    assert f"{HOSTILE} a\n" in shown.getvalue()
    assert shown.getvalue().count(HOSTILE) >= 3


def test_there_is_one_kind_of_terminal() -> None:
    made = [
        path.name
        for path in Path(console.__file__).parent.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Console"
    ]
    assert made == ["console.py"]


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
