"""Output that no person watches: lines of progress, lines of JSON, and no line broken in two."""

import io
import json
import math
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from rich.table import Table

from pipelines import console, progress
from tests.pipelines.conftest import command, run


@pytest.fixture(autouse=True)
def text_again() -> Iterator[None]:
    """The form of this process's output is that of other tests again."""
    yield
    console.begin_output("text", "")


class Clock:
    """The time, as a test sets it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


def lines(shown: io.StringIO) -> list[dict]:
    return [json.loads(line) for line in shown.getvalue().splitlines()]


def count_to_end(shown: io.StringIO, clock: Clock) -> None:
    """Counts 30 of 100 steps of 50 images that an earlier process took, then a step a second."""
    screen = console.terminal(file=shown, soft_wrap=True)
    with progress.shown_count(screen, "train", 100, images=50) as steps:
        steps.begin(30)
        for done in range(31, 101):
            clock.now += 1.0
            steps.reach(done, f"loss {100 - done}", loss=100.0 - done)


def test_a_count_prints_a_line_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    count_to_end(shown, Clock(monkeypatch))
    first, *_, last = printed = shown.getvalue().splitlines()
    assert first == "train: 40 of 100; 60 s left; 50 images/s; loss 60"
    assert last == "train: 100 of 100; in 70 s; 50 images/s; loss 0"
    assert len(printed) == 7


def test_a_count_writes_its_numbers_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    console.begin_output("json", "train")
    shown = io.StringIO()
    count_to_end(shown, Clock(monkeypatch))
    first = lines(shown)[0]
    assert datetime.fromisoformat(first.pop("time")).tzinfo
    assert first == {
        "stage": "train",
        "event": "progress",
        "title": "train",
        "done": 40,
        "total": 100,
        "images_per_second": 50.0,
        "seconds_left": 60.0,
        "status": "loss 60",
        "loss": 60.0,
    }


def test_a_count_that_is_cut_short_tells_where_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, shown = Clock(monkeypatch), io.StringIO()
    counted = progress.shown_count(console.terminal(file=shown), "certify", 360, 10)
    images = counted.__enter__()
    clock.now += 4.0
    images.advance(2, "2 certified")
    counted.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert shown.getvalue() == "certify: 12 of 360; 11.6 min left; 2 certified\n"


def test_quiet_counts_print_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    for form in ("text", "json"):
        console.begin_output(form, "train")
        with progress.shown_count(console.console(quiet=True), "train", 10) as steps:
            steps.advance(10, "")
    assert capsys.readouterr().out == ""


def test_what_is_printed_becomes_messages_and_tables() -> None:
    console.begin_output("json", "certify")
    shown = io.StringIO()
    screen = console.terminal(file=shown)
    table = Table("a", "b", title="of two")
    table.add_row("1", "[x]\n2")
    screen.print("one", "line\nor two")
    screen.print(table)
    screen.tell("epoch", "unseen", loss=math.nan, place=Path("x"), parts=(1, {"by": None}))
    assert [{k: v for k, v in line.items() if k != "time"} for line in lines(shown)] == [
        {"stage": "certify", "event": "message", "text": "one line\nor two"},
        {
            "stage": "certify",
            "event": "table",
            "title": "of two",
            "columns": ["a", "b"],
            "rows": [["1", "[x]\n2"]],
        },
        {
            "stage": "certify",
            "event": "epoch",
            "loss": None,
            "place": "x",
            "parts": [1, {"by": None}],
        },
    ]


def test_no_line_is_broken_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    table = Table(*("column" * 5 for _ in range(6)))
    table.add_row(*("word " * 10 for _ in range(6)))
    console.terminal().print(table)
    console.console(quiet=False).print("word" * 100)
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 6
    assert rows[-1] == "word" * 100


def test_a_command_writes_nothing_but_json(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("certify", f"--model_dir={copy}", "--epsilon=0.031", "--samples=7", "--log_format=json")
    *_, counted, result = map(json.loads, capsys.readouterr().out.splitlines())
    assert (counted["stage"], counted["event"], counted["done"]) == ("certify", "progress", 7)
    assert (result["stage"], result["event"], result["system"]) == ("report", "result", "test")
    (question,) = [q for q in result["questions"] if q["epsilon"] == 0.031]
    assert question["certified"]["n"] == 7
    assert 0.0 <= question["certified"]["low"] <= question["certified"]["rate"] <= 1.0
    assert not (copy / "flags.cfg").read_text().count("log_format")


def test_the_form_is_not_a_change_of_a_run(copy: Path) -> None:
    again = ("train", f"--flagfile={copy / 'flags.cfg'}", f"--model_dir={copy}")
    again += ("--log_format=json",)
    (line,) = command(*again).stdout.splitlines()
    told = json.loads(line)
    assert (told["event"], told["run"]) == ("finished", str(copy))
    assert Path(told["report"]).exists()
