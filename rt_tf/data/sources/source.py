"""The contract of a source: examples and their particulars, however a data set was named."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rt_tf.data.augment import Augmentation
from rt_tf.data.rows import Ids, Rows, select
from rt_tf.domain import UNIT, Domain
from rt_tf.errors import UserError
from rt_tf.progress import Progress, Silent


@dataclass(frozen=True)
class Reading:
    """Settings of the reading of a data set; the catalogue says which of them each kind takes.

    data_dir: TFDS's folder, or an address that TFDS can read; None: TFDS's own default. download:
    whether TFDS may download. cache_dir: where decoded examples are kept; None: the user's cache
    folder. image_size: (height, width) of images; None: as they are. channels: of images, 1 or 3;
    None: as they are. skip_broken: whether images that cannot be read are left out. label: the
    column of labels. drop_columns: columns that are left out. scaling: of columns (`columns`).
    domain: of columns (`columns`). test_share: held out for testing where no test split exists.
    progress: shows what is decoded.
    """

    data_dir: str | None = None
    download: bool = False
    cache_dir: str | None = None
    image_size: tuple[int, int] | None = None
    channels: int | None = None
    skip_broken: bool = False
    label: str = "label"
    drop_columns: Sequence[str] = ()
    scaling: str = "range"
    domain: str = "minmax"
    test_share: float = 0.2
    progress: Progress = field(default_factory=Silent)

    def __post_init__(self) -> None:
        if isinstance(self.drop_columns, str):
            raise UserError(
                f"drop_columns: expected a tuple of names; received '{self.drop_columns}'"
            )


@dataclass(frozen=True, eq=False)
class Part:
    """Examples in a canonical order.

    rows: [n, ...], in memory or memory-mapped: images [n, h, w, c] in uint8, or values in float32.
    labels: int64 [n], from 0 on.
    """

    rows: Rows
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, ids: Ids) -> "Part":
        """Some of the examples, unread if these are."""
        return Part(select(self.rows, ids), self.labels[ids])


@dataclass(frozen=True, eq=False)
class Source:
    """A data set as it was found.

    class_names: one for each label. test: None where there is none: a share of the training
    examples is held out then. validation: None where a run holds some out. pixel_max: of images in
    uint8; None for rows that are values. domain: the range of values that are no images.
    augmentation: a function of images and random numbers (`rt_tf.data.augment`). columns: of a
    table, as JSON. notes: sentences on what was made of the data. test_name: of the split that
    stands for the test split. is_own: whether it is a user's, whose splits are compared.
    """

    name: str
    class_names: tuple[str, ...]
    train: Part
    test: Part | None = None
    validation: Part | None = None
    version: str = ""
    pixel_max: int | None = 255
    domain: Domain = UNIT
    augmentation: Augmentation | None = None
    columns: dict[str, Any] | None = None
    notes: tuple[str, ...] = field(default=())
    test_name: str = "test"
    is_own: bool = True

    @classmethod
    def of(cls, name: str, class_names: Sequence[str], parts: Mapping[str, Part]) -> "Source":
        """A source of parts by name: train, and test or validation if there are any."""
        others = parts.get("test"), parts.get("validation")
        return cls(name, tuple(class_names), parts["train"], *others)

    @property
    def parts(self) -> dict[str, Part]:
        """The parts that there are, by name."""
        named = {"train": self.train, "test": self.test, "validation": self.validation}
        return {which: part for which, part in named.items() if part is not None}

    def change(self, change: Callable[[Rows], Rows]) -> "Source":
        """The source with a change of the rows, [n, ...], of each part."""
        parts = {which: Part(change(p.rows), p.labels) for which, p in self.parts.items()}
        return replace(
            self,
            train=parts["train"],
            test=parts.get("test"),
            validation=parts.get("validation"),
        )
