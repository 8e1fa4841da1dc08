"""A data set by name: its splits, its classes and its domain."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rt_tf import catalogue
from rt_tf.data.parting import hold_out, shared_rows
from rt_tf.data.sources.opening import open_source
from rt_tf.data.sources.preparing import is_address
from rt_tf.data.sources.source import Part, Reading, Source
from rt_tf.data.sources.tfds_sets import TfdsSet
from rt_tf.data.split import Split
from rt_tf.domain import UNIT, Domain, Given
from rt_tf.errors import UserError

COMPARED = 2**31  # bytes: the rows of larger training splits are not compared with those of testing


@dataclass(frozen=True, eq=False)
class DataSet:
    """A data set.

    shape: of an example, (h, w, c) of an image or (columns,) of a table. class_names: one for each
    label. columns: of a table, as JSON; None for images. notes: sentences on what was made of the
    data.
    """

    name: str
    version: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    columns: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of an example."""
        return tuple(self.train.rows.shape[1:])

    @property
    def domain(self) -> Domain:
        """The range that networks read inputs in."""
        return self.test.domain


def load(
    name: str,
    data_dir: str | os.PathLike[str] | None = None,
    validation: float = 0.1,
    seed: int = 0,
    download: bool = False,
    domain: Given = UNIT,
    reading: Reading = Reading(),  # noqa: B008 - immutable
) -> DataSet:
    """A data set by name: a row of the catalogue, TFDS's, or a user's own.

    data_dir: TFDS's folder, or an address that TFDS can read, such as gs://...; None: TFDS's
    own default. validation: fraction (below 1) or number of training examples to hold out,
    stratified, drawn with `seed`, where the data have no validation split. domain: the range that
    images are read in, two numbers for black and white. reading: settings for a user's own data.
    UserError for an unknown name, for a domain or validation out of range, for data that do not
    fit, and within 5 s for a data set that is not prepared and cannot be.
    """
    domain = Domain.of(domain)
    if not domain.is_uniform:
        raise UserError(f"domain: expected two finite numbers for images; received {domain}")
    folder = _folder(data_dir) if data_dir else None
    source = open_source(name, replace(reading, data_dir=folder, download=download))
    return _parted(source, validation, seed, _read_in(source, domain))


def synthetic(name: str, validation: float = 0.1, seed: int = 0, domain: Given = UNIT) -> DataSet:
    """Random images of a data set's shape and number, for measurements without the data set.

    UserError for a data set that is not the catalogue's, whose shape nobody knows.
    """
    known = catalogue.resolve("dataset", name)
    if not isinstance(known, TfdsSet):
        raise UserError(f"dataset: expected a data set of TFDS to make up; received '{name}'")
    return _parted(known.made_up(seed), validation, seed, Domain.of(domain))


def _folder(data_dir: str | os.PathLike[str]) -> str:
    """A folder, or an address unchanged: paths have one slash where addresses have two."""
    text = os.fspath(data_dir)
    return text if is_address(text) else str(Path(text).expanduser())


def _read_in(source: Source, domain: Domain) -> Domain:
    """The domain of what networks read: images' is the one asked for, that of values their own."""
    if source.pixel_max is not None:
        return domain
    if domain is not UNIT:
        raise UserError(
            f"input_range: expected none for {source.name}, whose values are read as they are; "
            f"received {domain}"
        )
    return source.domain


def _parted(source: Source, validation: float, seed: int, domain: Domain) -> DataSet:
    """The data set of a source, with validation examples held out unless it has its own."""

    def split(which: str, part: Part, index: np.ndarray | None = None) -> Split:
        places = np.arange(len(part)) if index is None else index
        augmentation, pixel_max = source.augmentation, source.pixel_max
        return Split(which, part.rows, part.labels, places, pixel_max, augmentation, domain)

    assert source.test is not None
    whole, test = split("train", source.train), split(source.test_name, source.test)
    notes = [*source.notes, *_shared(source)]
    if source.validation is not None:
        train, held_out = whole, split("validation", source.validation)
        notes.append(f"validation: the data's own {len(held_out):,} examples")
    else:
        rest, held = hold_out(whole.labels, validation, seed)
        train, held_out = whole.select(rest), whole.select(held, "validation")
    splits = (train, held_out, test)
    return DataSet(
        source.name, source.version, *splits, source.class_names, source.columns, tuple(notes)
    )


def _shared(source: Source) -> Sequence[str]:
    """A note on test examples that are among those of training, for a user's own data."""
    if not source.is_own or source.test is None:
        return ()
    if source.train.rows.nbytes > COMPARED:
        return ("test examples were not looked for among those of training, which are many",)
    count = shared_rows(source.train.rows, source.test.rows)
    return (f"{count:,} test examples are in the training split, too",) if count else ()
