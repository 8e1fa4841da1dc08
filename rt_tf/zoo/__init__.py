"""Networks to begin with: four small certified ones, with their reports.

Each is a folder <data set>/<system> with what `rt_tf.load` reads of a run, and its model card.
Importing this module imports no TensorFlow.
"""

from pathlib import Path

from rt_tf.errors import refuse_unknown

PREFIX = "zoo:"
ROOT = Path(__file__).resolve().parent


def names() -> list[str]:
    """The names of the networks, such as mnist/goal_01."""
    return sorted(path.parent.relative_to(ROOT).as_posix() for path in ROOT.glob("*/*/run.json"))


def folder(name: str) -> Path:
    """The folder of a network, named as `zoo:mnist/goal_01`; UserError for an unknown one."""
    name = name.removeprefix(PREFIX)
    refuse_unknown("zoo", name, names())
    return ROOT / name


def name_of(file: Path) -> str | None:
    """The name of the network in a file, such as zoo:mnist/goal_01; None for one of elsewhere."""
    folder = file.resolve().parents[1]
    return f"{PREFIX}{folder.relative_to(ROOT)}" if ROOT in folder.parents else None
