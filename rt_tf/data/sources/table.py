"""Sources in CSV files: numeric columns and a column of labels."""

import csv
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rt_tf.data.sources.arrays import of_arrays
from rt_tf.data.sources.source import Part, Reading, Source
from rt_tf.errors import UserError


class Table(NamedTuple):
    """The content of a file: names of columns, values [n, columns], and a label in each row."""

    columns: tuple[str, ...]
    values: np.ndarray
    labels: list[str]


def read(paths: str, reading: Reading) -> Source:
    """The rows of a file, of which some are held out for testing; or of two, TRAIN,TEST.

    The first line names the columns. Labels may be any texts; classes are in their order, that of
    numbers where they are numbers. UserError for columns of text, missing values and lines of other
    lengths, by their names.
    """
    files = [Path(part).expanduser() for part in paths.split(",")]
    if len(files) > 2:
        raise UserError(f"dataset: expected csv:FILE or csv:TRAIN,TEST; received csv:{paths}")
    tables = [_table(file, reading) for file in files]
    first = tables[0]
    if tables[-1].columns != first.columns:
        raise UserError(
            f"dataset: expected the columns of {files[0]} in {files[1]}: "
            f"{', '.join(first.columns)}; received {', '.join(tables[1].columns)}"
        )
    names = _ordered({label for table in tables for label in table.labels})
    places = {name: place for place, name in enumerate(names)}
    arrays = {
        part: Part(table.values, np.array([places[label] for label in table.labels]))
        for part, table in zip(("train", "test"), tables, strict=False)
    }
    return of_arrays(files[0].stem, arrays, reading, names, first.columns)


def _ordered(labels: Iterable[str]) -> tuple[str, ...]:
    """Labels in order: that of numbers where all are numbers."""
    try:
        return tuple(sorted(labels, key=float))
    except ValueError:
        return tuple(sorted(labels))


def _table(file: Path, reading: Reading) -> Table:
    """The content of a file; UserError where it is no table of numbers and labels."""
    header, *lines = _lines(file)
    header = [name.strip() for name in header]
    _check_names(file, header, reading)
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise UserError(
                f"dataset: expected {len(header)} values in each line of {file}; line {number} has "
                f"{len(line)}"
            )
    place = header.index(reading.label)
    columns = tuple(n for n in header if n != reading.label and n not in reading.drop_columns)
    labels = [line[place].strip() for line in lines]
    if "" in labels:
        raise UserError(
            f"label: expected a label in each line of {file}; line {labels.index('') + 2} has none"
        )
    return Table(columns, _numbers(file, header, columns, lines), labels)


def _lines(file: Path) -> list[list[str]]:
    """The lines of a file, that of names first; UserError for a file without values."""
    expected = "dataset: expected a CSV file with a line of names and lines of values"
    if not file.is_file():
        raise UserError(f"{expected}; there is no file {file}")
    try:
        with file.open(newline="", encoding="utf-8-sig") as stream:
            lines = [line for line in csv.reader(stream) if line]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{expected}; {file}: {error}") from error
    if len(lines) < 2:
        raise UserError(f"{expected}; {file} has {len(lines)} lines")
    if len(lines[0]) == 1 and re.search(r"[;\t|]", lines[0][0]):
        raise UserError(f"{expected}, separated by commas; {file} has other signs between them")
    return lines


def _check_names(file: Path, header: list[str], reading: Reading) -> None:
    """Raises UserError for columns that are asked for and absent, or are there twice."""
    listed = ", ".join(header)
    if reading.label not in header:
        raise UserError(
            f"label: expected --label=<column of labels>, one of {listed}; received "
            f"'{reading.label}', which {file} has not"
        )
    absent = [name for name in reading.drop_columns if name not in header]
    if absent:
        raise UserError(f"drop_columns: expected some of {listed}; received {', '.join(absent)}")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise UserError(f"dataset: expected each column once in {file}; twice: {', '.join(twice)}")
    if not set(header) - {reading.label, *reading.drop_columns}:
        raise UserError(f"dataset: expected a column of values in {file}; received {listed}")


def _number(text: str) -> float:
    """The number that a text gives; NaN for others."""
    try:
        return float(text)
    except ValueError:
        return math.nan


def _numbers(
    file: Path, header: list[str], columns: tuple[str, ...], lines: list[list[str]]
) -> np.ndarray:
    """The values of columns: float64 [n, columns]; UserError for texts and missing values."""
    values = np.empty((len(lines), len(columns)))
    texts = []
    for k, name in enumerate(columns):
        place = header.index(name)
        for row, line in enumerate(lines):
            values[row, k] = _number(line[place])
            if not math.isfinite(values[row, k]):
                texts.append(f"{name} (line {row + 2}: '{line[place]}')")
                break
    if texts:
        raise UserError(
            f"dataset: expected numbers in the columns of {file}; received others in "
            f"{', '.join(texts)}; --drop_columns=<names> leaves columns out"
        )
    return values
