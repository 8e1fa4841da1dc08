"""Sources made of arrays: images in uint8, images of values, or tables."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

import numpy as np

from rt_tf.data.augment import flip_and_crop
from rt_tf.data.parting import hold_out
from rt_tf.data.rows import LazyRows, Rows, portions
from rt_tf.data.sources import labels as checked_labels
from rt_tf.data.sources.columns import Columns, domain_of
from rt_tf.data.sources.source import Part, Reading, Source
from rt_tf.domain import UNIT, Domain
from rt_tf.errors import UserError

TEST_SEED = 0  # of the held-out test split: the same for all runs, whatever their seeds


def of_arrays(
    name: str,
    given: Mapping[str, Part],
    reading: Reading,
    class_names: tuple[str, ...] = (),
    column_names: tuple[str, ...] = (),
) -> Source:
    """The source of arrays as a user has them, by part: train, and test or validation if any.

    given: the parts, whose labels and rows may be of any type yet. Rows are images in uint8, [n, h,
    w] or [n, h, w, c]; images of values, the same in floating point; or the rows of a table, [n,
    columns]. class_names: of labels that have names. column_names: of a table, whose columns are
    else called 0, 1, .... UserError for others, for values that are no finite numbers, and for
    labels that do not fit.
    """
    parts = {which: _checked(name, which, part) for which, part in given.items()}
    _refuse_shapes(name, parts)
    labels = [part.labels for part in parts.values()]
    class_names = class_names or checked_labels.names(labels, f"{name}: labels")
    checked_labels.check_classes(class_names, parts["train"].labels, f"{name}: labels")
    source = with_test(Source.of(name, class_names, parts), reading.test_share)
    if len(source.train.rows.shape) == 2:
        return _table(source, column_names, reading)
    refuse_given(name, "has images", reading, ("scaling", "domain"))
    return replace(_images(source), augmentation=flip_and_crop)


def refuse_given(name: str, why: str, reading: Reading, settings: Iterable[str]) -> None:
    """Raises UserError for settings that are given, and that such data would ignore.

    why: the reason, as "has images".
    """
    for setting in settings:
        value = getattr(reading, setting)
        if value != getattr(Reading(), setting):
            raise UserError(f"{setting}: expected none for {name}, which {why}; received {value}")


def with_test(source: Source, share: float) -> Source:
    """A source with a test part, which is held out of the training examples if there is none."""
    if source.test is not None:
        return source
    rest, held = hold_out(source.train.labels, share, TEST_SEED, "test_share")
    note = (
        f"test: {len(held):,} of {len(source.train):,} examples, the same share of each class, "
        f"held out with seed {TEST_SEED}, as there is no test split"
    )
    train, test = source.train.select(rest), source.train.select(held)
    return replace(source, train=train, test=test, notes=(*source.notes, note))


def _checked(name: str, which: str, part: Part) -> Part:
    """A part of finite numbers with labels; UserError for others."""
    rows = part.rows
    if not len(rows) or rows.dtype.kind not in "iuf" or not 2 <= len(rows.shape) <= 4:
        raise UserError(
            f"{name}: expected numbers, [n, columns] of a table or [n, h, w] or [n, h, w, c] of "
            f"images, for {which}; received {rows.dtype} {list(rows.shape)}"
        )
    if rows.dtype.kind == "f":
        _check_finite(f"{name}: expected finite numbers for {which}", rows)
    labels = checked_labels.whole(part.labels, len(rows), f"{name}: labels of {which}")
    return Part(_with_channels(rows), labels)


def _refuse_shapes(name: str, parts: Mapping[str, Part]) -> None:
    """Raises UserError for parts whose rows have other shapes than those of training."""
    shape = parts["train"].rows.shape[1:]
    for which, part in parts.items():
        if part.rows.shape[1:] != shape:
            raise UserError(
                f"{name}: expected {which} examples in the shape of training, {list(shape)}; "
                f"received {list(part.rows.shape[1:])}"
            )


def _check_finite(expected: str, rows: Rows) -> None:
    """Raises UserError, naming the first place, for values that are no finite numbers."""
    for begin, some in portions(rows):
        finite = np.isfinite(some)
        if not finite.all():
            row, *place = np.argwhere(~finite)[0].tolist()
            raise UserError(f"{expected}; received NaN or infinity at {[begin + row, *place]}")


def _with_channels(rows: Rows) -> Rows:
    """Images [n, h, w] as [n, h, w, 1]."""
    if len(rows.shape) != 3:
        return rows
    if isinstance(rows, LazyRows):
        return LazyRows(rows.array[..., np.newaxis], rows.ids)
    return rows[..., np.newaxis]


def _images(source: Source) -> Source:
    """Images in uint8, or images of values, whose domain is [0, 1] if they are all inside."""
    if source.train.rows.dtype == np.uint8:
        return source
    parts = source.parts.values()
    ends = [(some.min(), some.max()) for part in parts for _, some in portions(part.rows)]
    low, high = float(min(end[0] for end in ends)), float(max(end[1] for end in ends))
    if source.train.rows.dtype.kind == "f":
        domain = UNIT if low >= 0.0 and high <= 1.0 else Domain(low, high)
        return replace(source.change(_as(np.float32)), pixel_max=None, domain=domain)
    if low < 0 or high > 255:
        raise UserError(
            f"{source.name}: expected whole numbers from 0 to 255 for images; received {low:g} to "
            f"{high:g}"
        )
    return source.change(_as(np.uint8))


def _as(dtype: type) -> Callable[[Rows], Rows]:
    """A function of rows that gives them a type; those that have it stay where they are."""
    return lambda rows: rows if rows.dtype == dtype else rows[:].astype(dtype)


def _table(source: Source, names: tuple[str, ...], reading: Reading) -> Source:
    """A table scaled by its training rows, in its domain, to which outliers are clipped."""
    names = names or tuple(map(str, range(source.train.rows.shape[1])))
    tables = [part.rows[:].astype(np.float64) for part in source.parts.values()]
    columns = Columns.fitted(names, tables[0], reading.scaling)
    domain = domain_of(columns, tables, reading.domain)
    scaled = source.change(lambda rows: columns.read(rows[:]))
    inside = scaled.change(lambda rows: _inside(rows, domain))
    notes = [*source.notes, *_constant(names, tables[0]), *_clipped(scaled, inside)]
    described = {"scaling": reading.scaling, "domain": reading.domain, "each": columns.config()}
    return replace(inside, pixel_max=None, domain=domain, columns=described, notes=tuple(notes))


def _inside(rows: Rows, domain: Domain) -> np.ndarray:
    """Rows float32 [n, columns], brought to the domain where they are beyond it."""
    return np.clip(rows[:], np.float32(domain.lower), np.float32(domain.upper))


def _clipped(before: Source, after: Source) -> list[str]:
    """A note on the rows that were clipped, if there are any."""
    pairs = zip(before.parts.values(), after.parts.values(), strict=True)
    count = sum(int((a.rows[:] != b.rows[:]).any(axis=1).sum()) for a, b in pairs)
    return [f"domain: {count:,} rows were clipped to it"] if count else []


def _constant(names: tuple[str, ...], train: np.ndarray) -> list[str]:
    """A note on the columns that are the same in all training rows, if there are any."""
    same = np.array(names)[train.min(axis=0) == train.max(axis=0)]
    return (
        [f"columns with one value in all training rows: {', '.join(same[:20])}"]
        if len(same)
        else []
    )
