"""Suites and sanity checks in words: for the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich import box
from rich.table import Table
from rich.text import Text

from rt_tf.exactly import radius_text
from rt_tf.records.record_file import Row
from rt_tf.reporting.attacks.sanity import not_checked
from rt_tf.reporting.formats import DASH, cell, code, duration, plain, short


def suite_table(suite: Row) -> Table:
    """A suite of a report as a table: attacks by threat, with the worst case of each and of all."""
    title = f"{suite['suite']}: accuracy left, on {suite['sample']['n']:,} test examples"
    notes = ["worst cases are by example; (95 % intervals)"]
    caption = Text("\n".join(notes + [f"warning: {line}" for line in suite["warnings"]]))
    table = Table(title=Text(title), caption=caption, box=box.SIMPLE_HEAD, pad_edge=False)
    table.title_style = "bold"
    table.add_column("attack")
    table.add_column("accuracy %", justify="right", style="yellow")
    table.add_column("smallest", justify="right")
    table.add_column("time per image", justify="right")
    table.add_row("clean", short(suite["clean"]), "", "", end_section=True)
    for minimum, rows in _by_question(suite):
        for row in rows:
            name = Text(f"  {row['name']}")
            table.add_row(name, short(row["attacked"]), _nearest(row), _time(row))
        table.add_row(_title(minimum), short(minimum["attacked"]), style="bold", end_section=True)
    table.add_row("all attacks", short(suite["all"]), style="bold")
    return table


def suite_markdown(suite: Row) -> str:
    """A suite of a report as a Markdown table, with the suite's warnings."""
    lines = [f"| clean | {cell(suite['clean'])} | | |"]
    for minimum, rows in _by_question(suite):
        for row in rows:
            cells = (plain(row["name"]), cell(row["attacked"]), _nearest(row), _time(row))
            lines.append("| " + " | ".join(cells) + " |")
        lines.append(f"| **{_title(minimum)}** | **{cell(minimum['attacked'])}** | | |")
    lines.append(f"| **all attacks** | **{cell(suite['all'])}** | | |")
    head = ["| attack | accuracy left | smallest distance | time per image |", "|---|---|---|---|"]
    title = f"Suite {code(suite['suite'])}, the worst case of each threat and of all by example:"
    warnings = [f"- warning: {plain(warning)}" for warning in suite["warnings"]]
    return "\n".join([title, "", *head, *lines, "", *warnings]).rstrip() + "\n"


def sanity_lines(report: Row) -> list[Text]:
    """A line for each sanity check of a report, in colours; then the checks left out."""
    lines = [_sanity_line(row) for row in report["sanity"]]
    return lines + [
        Text(f"{DASH}     {name}: no records to compare", "dim") for name in _left(report)
    ]


def sanity_markdown(report: Row) -> str:
    """The sanity checks of a report as a Markdown list."""
    checked = [f"{_verdict(row)}: {row['check']} ({row['told']})" for row in report["sanity"]]
    left = [f"not checked: {name}" for name in _left(report)]
    return "\n".join(f"- {text}" for text in [*checked, *left])


def has_attacks(report: Row) -> bool:
    """Whether the report has any attack."""
    return any(question["attacks"] for question in report["questions"])


def _left(report: Row) -> list[str]:
    return not_checked(report["sanity"])


def _verdict(row: Row) -> str:
    return "pass" if row["passed"] else "FAIL"


def _sanity_line(row: Row) -> Text:
    style = "green" if row["passed"] else "bold red"
    return Text.assemble((_verdict(row), style), f"  {row['check']}: ", (row["told"], "dim"))


def _by_question(suite: Row) -> Iterator[tuple[Row, Iterable[Row]]]:
    """Yields the row of each question's worst case, and the rows of its attacks."""
    for minimum in suite["minima"]:
        yield minimum, [row for row in suite["rows"] if row["question"] == minimum["question"]]


def _title(minimum: Row) -> str:
    return f"{minimum['threat']} attacks (eps = {radius_text(minimum['epsilon'])})"


def _nearest(row: Row) -> str:
    return DASH if row["distance"] is None else f"{row['distance']['min']:.3g}"


def _time(row: Row) -> str:
    return duration(row["seconds"] and row["seconds"]["mean"])
