"""Groups of flags that belong together, and the values of phases."""

from collections.abc import Callable, Iterable
from typing import Any

from absl import flags

from pipelines.flags.kinds import OneParser, PhaseParser, line
from rt_tf.errors import UserError


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
