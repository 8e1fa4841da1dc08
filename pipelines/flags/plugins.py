"""Plug-ins that a command line names, imported before its flags are defined.

Imports no TensorFlow.
"""

from collections.abc import Iterator
from pathlib import Path

from pipelines.console import import_tensorflow
from pipelines.flags.flag_files import with_lines
from pipelines.flags.parsing import fail
from rt_tf.catalogue import plugins
from rt_tf.errors import UserError


def import_plugins(argv: list[str]) -> None:
    """Imports the plug-ins of a command line, of its flag files, and of the run that it is about.

    Prints one line, and exits, where one cannot be imported. A flag file that cannot be read is the
    parser's to refuse.
    """
    try:
        words = with_lines(argv)[1:]
    except UserError:
        words = argv[1:]
    try:
        plugins.load_installed()
        for place, names in _named(words).items():
            import_tensorflow()  # before a plug-in does, whose import would not be a silent one
            plugins.load(names, place)
    except UserError as error:
        fail(str(error))


def _named(words: list[str]) -> dict[str, list[str]]:
    """The modules that a command line and the flags of its run name, by the place that does."""
    named = {"import": _names(words)}
    for folder in _values("model_dir", words):
        frozen = Path(folder).expanduser() / "flags.cfg"
        if frozen.is_file():
            lines = frozen.read_text(errors="replace").splitlines()
            named[f"import in {frozen}"] = _names(lines)
    return {place: names for place, names in named.items() if names}


def _names(words: list[str]) -> list[str]:
    """The modules that words of a command line, or lines of a flag file, name."""
    names = [part.strip() for value in _values("import", words) for part in value.split(",")]
    return [name for name in names if name]


def _values(name: str, words: list[str]) -> Iterator[str]:
    """The values of a flag among the words of a command line."""
    for number, word in enumerate(words):
        flag, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("-") or flag.strip() != name:
            continue
        if equals:
            yield value.strip()
        elif number + 1 < len(words):
            yield words[number + 1]
