"""Names and other foreign text inside Markdown, where they mean nothing but themselves."""

import re

SPECIAL = re.compile(r"[\\`*_{}\[\]<>|#~&!]")


def plain(text: str) -> str:
    """A text of one line in which nothing is markup or HTML."""
    return SPECIAL.sub(lambda found: f"\\{found[0]}", " ".join(text.split()))


def code(text: str) -> str:
    """A text of one line as code: between more backticks than it has in a row."""
    words = " ".join(text.split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", words)), default=0))
    return f"{fence} {words} {fence}" if "`" in words else f"{fence}{words}{fence}"
