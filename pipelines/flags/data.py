"""Flags of the data: their name, and settings of the reading of a user's own.

Imports no TensorFlow.
"""

import re
from typing import Any

from absl import flags

from pipelines.flags.group import Group
from pipelines.flags.help import listed
from pipelines.flags.kinds import ANY, OneOf, within
from rt_tf.catalogue.datasets import (
    DATASET_KINDS,
    DATASETS,
    DOMAINS,
    FUNCTION,
    SCALINGS,
    dataset_name,
)
from rt_tf.errors import UserError

# Settings of data of one's own: they shape what a network reads.
SETTINGS = (
    "image_size",
    "channels",
    "skip_broken",
    "label",
    "drop_columns",
    "scaling",
    "domain",
    "test_share",
)
NAMES = ("dataset", *SETTINGS)


def data_flags(group: Group, default: str | None) -> None:
    """Defines the flags of the data. default: the name of the data set."""
    kinds = "; ".join(f"{kind}:...: {entry.summary}" for kind, entry in DATASET_KINDS.items())
    about = f"{listed(DATASETS)} {kinds}; module:function: {FUNCTION.summary}; other names: TFDS's."
    group.one("dataset", known, default, about)
    about = "Side of images in pixels, or height x width such as 64x96. Not given: as they are."
    group.one("image_size", size, None, about)
    about = "Channels of images, 1 (grey) or 3. Not given: as they are."
    group.one("channels", OneOf(["1", "3"]), None, about)
    group.switch("skip_broken", False, "Leave images out that cannot be read.")
    group.text("label", "label", "Of csv: the column of labels.")
    group.text("drop_columns", None, "Of csv: columns to leave out, a comma list.")
    group.one("scaling", OneOf(SCALINGS), "range", f"Of tables. {listed(SCALINGS)}")
    about = (
        f"Of tables: what inputs stay inside. {listed(DOMAINS)} Or a JSON file of columns' ends."
    )
    group.text("domain", "minmax", about)
    about = "Held out for testing where no test split exists: a share, or a number of examples."
    group.one("test_share", within(0.0, ANY), 0.2, about)


def known(text: str) -> str:
    """A name that may be a data set's."""
    dataset_name(text)
    return text


def size(text: str) -> str:
    """The size of images: a side, or height x width."""
    if not re.fullmatch(r"[1-9]\d{0,4}(x[1-9]\d{0,4})?", text):
        raise ValueError(
            f"expected a side in pixels, or height x width, as 64x96; received '{text}'"
        )
    return text


def reading_settings(values: flags.FlagValues) -> dict[str, Any]:
    """The settings that a data set takes, by the names of `rt_tf.data.Reading`.

    UserError for one that is given and that this data set does not take.
    """
    named = dataset_name(values.dataset)
    taken = () if named.is_listed else named.entry.options
    for name in SETTINGS:
        if name not in taken and values[name].value != values[name].default:
            takers = [f"{k}:..." for k, entry in DATASET_KINDS.items() if name in entry.options]
            raise UserError(
                f"{name}: expected none with --dataset={values.dataset}, which takes "
                f"{', '.join(taken) or 'no settings'} (it is for {', '.join(takers)}); received "
                f"{values[name].value}"
            )
    return {name: _setting(name, values[name].value) for name in taken}


def _setting(name: str, value: Any) -> Any:
    """A flag's value as `Reading` has it."""
    if name == "image_size" and value is not None:
        height, _, width = value.partition("x")
        return int(height), int(width or height)
    if name == "channels" and value is not None:
        return int(value)
    if name == "drop_columns":
        return tuple(part.strip() for part in (value or "").split(",") if part.strip())
    return value


def brings_domain(values: flags.FlagValues) -> bool:
    """Whether the domain of inputs may be the data's own, and is known once they are read."""
    return not dataset_name(values.dataset).is_listed and values.input_range is None
