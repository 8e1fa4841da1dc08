"""Kinds of flag, one-line errors and grouped help. Imports no TensorFlow."""

import contextlib
import itertools
import math
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn, Protocol

from absl import flags

import rt_tf
from rt_tf.errors import UserError

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
ABOUT_ITSELF = {
    "help": "Prints this text.",
    "helpshort": "Prints this text.",
    "version": "Prints the version.",
}
FLAG_FILE = ("--flagfile", "-flagfile")
ANY = float("inf")  # as an end for `within`


class PhaseList(tuple):
    """A value for every phase; written as a comma list."""

    def __str__(self) -> str:
        return ",".join(_text(value) for value in self)


class PhaseParser(flags.ArgumentParser):
    """Parses a comma list with one value for every phase."""

    syntactic_help = "one value, or a comma list with one for every phase"

    def __init__(self, parse_one: Callable[[str], Any]) -> None:
        self.parse_one = parse_one

    def parse(self, argument: Any) -> PhaseList:
        if isinstance(argument, PhaseList):
            return argument
        return PhaseList(self.parse_one(part.strip()) for part in str(argument).split(","))


class OneParser(flags.ArgumentParser):
    """Parses a single value."""

    def __init__(self, parse_one: Callable[[str], Any]) -> None:
        self.parse_one = parse_one

    def parse(self, argument: Any) -> Any:
        return self.parse_one(argument) if isinstance(argument, str) else argument


def number(text: str) -> float:
    """The finite number that a text gives, a fraction such as 8/255 included."""
    top, slash, bottom = text.replace(" ", "").partition("/")
    try:
        value = float(top) / float(bottom) if slash else float(top)
    except (ValueError, ZeroDivisionError):
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"expected a number or a fraction such as 8/255; received '{text}'")
    return value


def line(text: str) -> str:
    """A text of one line, which flag files, reports and model cards can hold unchanged."""
    if not text.isprintable():
        raise ValueError(f"expected a text without line ends and control codes; received {text!a}")
    return text


def within(lower: float, upper: float) -> Callable[[str], float]:
    """A parser of numbers in [lower, upper]."""

    def parse(text: str) -> float:
        value = number(text)
        if not lower <= value <= upper:
            raise ValueError(f"expected a number in [{lower:g}, {upper:g}]; received '{text}'")
        return value

    return parse


def positive(text: str) -> float:
    """A number above 0, from a text."""
    value = number(text)
    if value <= 0.0:
        raise ValueError(f"expected a number > 0; received '{text}'")
    return value


def whole(lower: int, upper: int = 2**31 - 1) -> Callable[[str], int]:
    """A parser of whole numbers from `lower` to `upper`."""

    def parse(text: str) -> int:
        if not text.lstrip("-").isdigit() or int(text) < lower:
            raise ValueError(f"expected a whole number >= {lower}; received '{text}'")
        if int(text) > upper:
            raise ValueError(f"expected a whole number <= {upper}; received '{text}'")
        return int(text)

    return parse


class OneOf:
    """A parser of names out of a list."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = list(names)

    def __call__(self, text: str) -> str:
        if text not in self.names:
            raise ValueError(f"expected one of {', '.join(self.names)}; received '{text}'")
        return text


def switch(text: str) -> bool:
    """A truth value, from `true` or `false`."""
    return OneOf(["true", "false"])(text.lower()) == "true"


def ends(text: str) -> PhaseList:
    """The ends of a range, from a text of two growing numbers such as 0,255."""
    values = PhaseList(number(part) for part in text.split(","))
    if len(values) != 2 or not values[0] < values[1]:
        raise ValueError(f"expected two growing numbers such as 0,255; received '{text}'")
    return values


def radii(text: str) -> PhaseList:
    """Three radii of at least zero, not all of them zero, from a text such as 0.3,1.5,12."""
    values = PhaseList(number(part) for part in text.split(","))
    if len(values) != 3 or min(values) < 0.0 or max(values) == 0.0:
        raise ValueError(f"expected three radii such as 0.3,1.5,12; received '{text}'")
    return values


def share(text: str) -> tuple[int, int]:
    """A part and the number of equal parts, from a text such as 1/4."""
    first, _, last = text.partition("/")
    if not (first.isdigit() and last.isdigit() and 1 <= int(first) <= int(last)):
        raise ValueError(f"expected a part k/n with 1 <= k <= n, such as 1/4; received '{text}'")
    return int(first), int(last)


def epochs_list(text: str) -> tuple[float, ...]:
    """Epochs from a text that joins them by colons, such as 50:60; empty for none."""
    return tuple(number(part) for part in text.split(":") if part)


class Group:
    """Flags that belong together: defines them and remembers them for the help text."""

    def __init__(self, title: str, values: flags.FlagValues) -> None:
        self.title = title
        self.values = values
        self.names: list[str] = []

    def phases(
        self, name: str, parse_one: Callable[[str], Any], default: str | None, about: str
    ) -> None:
        """Defines a flag with one value for every phase."""
        self._define(PhaseParser(parse_one), name, default, about)

    def one(self, name: str, parse_one: Callable[[str], Any], default: Any, about: str) -> None:
        """Defines a flag with a single value."""
        self._define(OneParser(parse_one), name, default, about)

    def text(self, name: str, default: str | None, about: str) -> None:
        """Defines a flag with any text of one line."""
        self._define(OneParser(line), name, default, about)

    def switch(self, name: str, default: bool, about: str) -> None:
        """Defines a flag that is on or off."""
        flags.DEFINE_bool(name, default, about, flag_values=self.values)
        self.names.append(name)

    def _define(self, parser: flags.ArgumentParser, name: str, default: Any, about: str) -> None:
        flags.DEFINE(
            parser, name, default, about, self.values, serializer=flags.ArgumentSerializer()
        )
        self.names.append(name)


def parse(argv: list[str], groups: list[Group], about: str) -> flags.FlagValues:
    """Parses the command line; prints help or a one-line error, and exits then.

    A flag on the command line replaces the flag files' value, wherever it stands.
    """
    values = groups[0].values
    for name, about_it in ABOUT_ITSELF.items():
        if name not in values:
            flags.DEFINE_bool(name, False, about_it, flag_values=values)
    try:
        rest = values(files_first(argv))
    except flags.CantOpenFlagFileError as error:
        fail(_unopened(str(error)))
    except (flags.Error, OSError) as error:
        fail(_from_name(str(error)))
    except UnicodeDecodeError as error:
        named = [part.partition("=")[2] for part in argv if part.lstrip("-").startswith("flagfile")]
        fail(f"flagfile: expected lines of text, --name=value; {', '.join(named)}: {error}")
    if values.help or values.helpshort or values.version:
        print(f"rt_tf {rt_tf.__version__}" if values.version else help_text(groups, about))
        raise SystemExit(0)
    if len(rest) > 1:
        fail(f"flags: expected --name=value; received '{rest[1]}'")
    return values


def files_first(argv: list[str]) -> list[str]:
    """A command line with its flag files before all other flags, so that those have the last word.

    argv: with the program's name. What follows `--` stays where it is.
    """
    end = argv.index("--") if "--" in argv else len(argv)
    files: list[str] = []
    others: list[str] = []
    parts = iter(argv[1:end])
    for part in parts:
        if part in FLAG_FILE:
            files += [part, *itertools.islice(parts, 1)]
        else:
            is_file = part.startswith(tuple(f"{name}=" for name in FLAG_FILE))
            (files if is_file else others).append(part)
    return [*argv[:1], *files, *others, *argv[end:]]


def help_text(groups: list[Group], about: str) -> str:
    """The help: flags by group with their defaults, and the systems in configs/."""
    lines = [about, ""]
    for group in groups:
        lines += [f"{group.title}:", *(_flag_help(group.values[name]) for name in group.names), ""]
    return "\n".join([*lines, "Systems (--flagfile=configs/<data set>/<system>.cfg):", *systems()])


def systems() -> list[str]:
    """A line for every system in configs/: its name and the first line of its header.

    Shorter schedules of the same systems, <system>-short, are left out.
    """
    paths = sorted(path for path in CONFIGS.glob("*/*.cfg") if not path.stem.endswith("-short"))
    names = [str(path.relative_to(CONFIGS).with_suffix("")) for path in paths]
    headers = [path.read_text().splitlines()[0].lstrip("# ") for path in paths]
    return [f"  {name:28s}{header}" for name, header in zip(names, headers, strict=True)]


class Summarised(Protocol):
    """A row of a table of the library."""

    @property
    def summary(self) -> str: ...


def listed(table: Mapping[str, Summarised]) -> str:
    """The names of a table of the catalogue with their summaries."""
    return "; ".join(f"{name}: {entry.summary}" for name, entry in table.items()) + "."


def fail(message: str) -> NoReturn:
    """Prints one line on stderr and exits with status 2."""
    print(f"error: {one_line(message)}", file=sys.stderr)
    raise SystemExit(2)


def broadcast(values: flags.FlagValues, names: Iterable[str]) -> list[dict[str, Any]]:
    """The settings of each phase; UserError where the lists' lengths differ."""
    lists = {name: values[name].value for name in names}
    lengths = {name: len(value) for name, value in lists.items() if len(value) > 1}
    if len(set(lengths.values())) > 1:
        counts = ", ".join(f"--{name} has {length}" for name, length in lengths.items())
        raise UserError(
            f"phases: expected lists of one length (or 1, for all phases); received {counts}"
        )
    count = max([1, *lengths.values()])
    return [
        {name: value[i] if len(value) > 1 else value[0] for name, value in lists.items()}
        for i in range(count)
    ]


def _flag_help(flag: flags.Flag) -> str:
    parse_one = getattr(flag.parser, "parse_one", None)
    choices = f" One of {', '.join(parse_one.names)}." if isinstance(parse_one, OneOf) else ""
    default = "" if flag.default in (None, "", PhaseList([()])) else _text(flag.default)
    shown = choices + (f" (default: {default})" if default else "")
    text = textwrap.fill(
        f"{flag.help}{shown}", 96, initial_indent=" " * 6, subsequent_indent=" " * 6
    )
    return f"  --{flag.name}\n{text}"


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple) and not isinstance(value, PhaseList):
        return ":".join(_text(part) for part in value)
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def _unopened(error: str) -> str:
    """The line on a flag file that cannot be opened, from absl's words around the system's."""
    reason = error[error.index("[Errno") :] if "[Errno" in error else error
    return (
        f"flagfile: expected a file of lines --name=value; received {reason}; "
        "--help lists the systems in configs/"
    )


def _from_name(text: str) -> str:
    """The error on a flag, from the flag's name on."""
    with contextlib.suppress(ValueError):
        text = text[text.index("flag --") + len("flag ") :]
    return text


MOST = 2000  # characters


def one_line(text: str) -> str:
    """A text on one line: white space as blanks, unprintable characters as codes, cut at MOST."""
    words = " ".join(text.split())
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
    return shown if len(shown) <= MOST else f"{shown[:MOST]} ..."
