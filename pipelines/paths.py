"""Folders that a user names to be written to."""

import re
from pathlib import Path

from rt_tf.errors import UserError

# In names of folders, TensorFlow takes these for patterns: it would read other files, or none.
PATTERNS = "[]*?\\"
REMOTE = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


def writable(path: str | Path, flag: str) -> Path:
    """The path as given; UserError for one that TensorFlow, or this system, cannot write to.

    flag: which one names it.
    """
    text = str(path)
    if REMOTE.match(text):
        raise UserError(f"{flag}: expected a folder of this machine; received the address {text}")
    found = sorted({sign for sign in text if sign in PATTERNS})
    if found:
        raise UserError(
            f"{flag}: expected a path without {' '.join(PATTERNS)}, which TensorFlow takes for "
            f"patterns; received {text} with {' '.join(found)}"
        )
    return Path(path)
