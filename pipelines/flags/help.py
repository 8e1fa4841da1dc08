"""The help of a command: its flags by group, and the systems in configs/."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from absl import flags

from pipelines.flags.flag_files import CONFIGS, system_names
from pipelines.flags.group import Group
from pipelines.flags.kinds import OneOf, PhaseList, as_flag_text


def help_text(groups: list[Group], about: str) -> str:
    """The help: flags by group with their defaults, and the systems in configs/."""
    lines = [about, ""]
    for group in groups:
        lines += [f"{group.title}:", *(_flag_help(group.values[name]) for name in group.names), ""]
    return "\n".join([*lines, "Systems (--flagfile=<data set>/<system>):", *systems()])


def systems() -> list[str]:
    """A line for every system in configs/: its name and the first line of its header.

    Shorter schedules of the same systems, <system>-short, are left out.
    """
    names = [name for name in system_names() if not name.endswith("-short")]
    headers = [_header(CONFIGS / f"{name}.cfg") for name in names]
    return [f"  {name:28s}{header}" for name, header in zip(names, headers, strict=True)]


def _header(path: Path) -> str:
    return path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")


class Summarised(Protocol):
    """A row of a table of the library."""

    @property
    def summary(self) -> str: ...


def listed(table: Mapping[str, Summarised]) -> str:
    """The names of a table of the catalogue with their summaries."""
    return "; ".join(f"{name}: {entry.summary}" for name, entry in table.items()) + "."


def _flag_help(flag: flags.Flag) -> str:
    parse_one = getattr(flag.parser, "parse_one", None)
    choices = f" One of {', '.join(parse_one.names)}." if isinstance(parse_one, OneOf) else ""
    default = "" if flag.default in (None, "", PhaseList([()])) else as_flag_text(flag.default)
    shown = choices + (f" (default: {default})" if default else "")
    text = textwrap.fill(
        f"{flag.help}{shown}", 96, initial_indent=" " * 6, subsequent_indent=" " * 6
    )
    return f"  --{flag.name}\n{text}"
