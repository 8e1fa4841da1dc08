"""The flags of what a command prints."""

from pipelines.flags.group import Group
from pipelines.flags.kinds import OneOf


def output_flags(group: Group) -> None:
    """Adds the flags that say how much a command prints, and in which form."""
    group.switch("quiet", False, "Print results and errors only.")
    about = "Lines and tables, or a JSON object a line: time, stage, event, and its facts."
    group.one("log_format", OneOf(["text", "json"]), "text", about)
