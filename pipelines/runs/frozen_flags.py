"""The flag file of a run: the flags that it was begun with, and their checksum."""

import hashlib
import re
from pathlib import Path

from rt_tf.errors import UserError

HEADER = "# Reruns with --flagfile=<this file>; a run whose flags were edited is refused."
CHECKSUM = re.compile(r"# sha256 ([0-9a-f]{64})")


def write(flags: dict[str, str]) -> str:
    """The text of a flag file."""
    body = "".join(f"--{name}={value}\n" for name, value in flags.items())
    return f"{HEADER}\n# sha256 {_sum(body)}\n{body}"


def read(path: Path, checked: bool) -> dict[str, str]:
    """The flags of a file, as text; UserError if it was edited or damaged.

    checked: whether it must have a checksum; files of earlier versions have none.
    """
    text = path.read_bytes().decode(errors="replace")
    lines = text.splitlines()
    flags = [line for line in lines if line.startswith("--")]
    stated = [match[1] for line in lines if (match := CHECKSUM.fullmatch(line))]
    whole = flags and all("=" in line for line in flags)
    if stated or checked:
        whole = whole and stated == [_sum("".join(f"{line}\n" for line in flags))]
    if not whole:
        raise UserError(
            f"model_dir: expected the flags that the run was begun with; {path} was edited or "
            "damaged; put it back as it was, or use another --model_dir"
        )
    return dict(line[2:].split("=", 1) for line in flags)


def _sum(body: str) -> str:
    return hashlib.sha256(body.encode()).hexdigest()
