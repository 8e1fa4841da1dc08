"""The parsing of a command line, which ends with help or one line where it is wrong."""

import contextlib
import itertools
import os
import select
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

from absl import flags

import rt_tf
from pipelines.flags import flag_files
from pipelines.flags.group import Group
from pipelines.flags.help import help_text
from rt_tf.errors import UserError

ABOUT_ITSELF = {
    "help": "Prints this text.",
    "helpshort": "Prints this text.",
    "version": "Prints the version.",
}


def parse(argv: list[str], groups: list[Group], about: str) -> flags.FlagValues:
    """Parses the command line; prints help or a one-line error, and exits then.

    A flag on the command line replaces the flag files' value, wherever it stands.
    """
    values, others = parse_with_others(argv, groups, about)
    if others:
        fail(f"flags: expected --name=value; received '{others[0]}'")
    return values


def parse_with_others(
    argv: list[str], groups: list[Group], about: str
) -> tuple[flags.FlagValues, list[str]]:
    """Parses a command line as `parse` does, and returns also the words that are no flags."""
    values = groups[0].values
    for name, about_it in ABOUT_ITSELF.items():
        if name not in values:
            flags.DEFINE_bool(name, False, about_it, flag_values=values)
    try:
        rest = values(flag_files.with_lines(files_first(argv)))
    except (flags.Error, UserError) as error:
        fail(_from_name(str(error)))
    if values.help or values.helpshort or values.version:
        with until_unread():
            print(f"rt_tf {rt_tf.__version__}" if values.version else help_text(groups, about))
        raise SystemExit(0)
    return values, rest[1:]


def files_first(argv: list[str]) -> list[str]:
    """A command line with its flag files before all other flags, so that those have the last word.

    argv: with the program's name. What follows `--` stays where it is.
    """
    end = argv.index("--") if "--" in argv else len(argv)
    files: list[str] = []
    others: list[str] = []
    parts = iter(argv[1:end])
    for part in parts:
        if part in flag_files.NAMES:
            name = list(itertools.islice(parts, 1))
            (files if name else others).extend([part, *name])
        else:
            is_file = part.startswith(tuple(f"{name}=" for name in flag_files.NAMES))
            (files if is_file else others).append(part)
    return [*argv[:1], *files, *others, *argv[end:]]


@contextlib.contextmanager
def until_unread() -> Iterator[None]:
    """Ends the process without a word once nobody reads what it prints, as after `| head`."""
    try:
        try:
            yield
        except SystemExit:
            sys.stdout.flush()
            raise
        sys.stdout.flush()
    except BrokenPipeError:
        if not _is_unread():
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(128 + signal.SIGPIPE) from None


def _is_unread() -> bool:
    """Whether the standard output is a pipe whose reader has left."""
    output = select.poll()
    output.register(sys.stdout.fileno(), 0)
    return any(event & select.POLLERR for _, event in output.poll(0))


def fail(message: str) -> NoReturn:
    """Prints one line on stderr and exits with status 2."""
    print(f"error: {one_line(message)}", file=sys.stderr)
    raise SystemExit(2)


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
