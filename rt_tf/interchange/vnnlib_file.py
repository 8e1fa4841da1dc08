"""A VNN-LIB file as properties. The `vnnlib` package parses; numbers are kept exact here."""

import gzip
import math
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from rt_tf.errors import UserError
from rt_tf.interchange.optional import needed
from rt_tf.interchange.property import Clause, Property
from rt_tf.interchange.vnnlib_boxes import Ends, Frame
from rt_tf.interchange.vnnlib_cases import Case, both, conjunction
from rt_tf.interchange.vnnlib_limits import check_count, check_depth, check_size
from rt_tf.interchange.vnnlib_linear import Weights
from rt_tf.interchange.vnnlib_text import as_version_2

EXACT = 2**24  # up to which float32 holds all whole numbers


def read(path: Path) -> list[Property]:
    """The properties of a file: one for each box of inputs, with a clause for each case of outputs.

    path: of the file, which may be gzipped, by its name.
    A network has a counterexample to the file if it has one to any of them. UserError for files
    of another form, and for more cases than the limits.
    """
    query = _parsed(path)
    (network,) = query.networks
    inputs, outputs = math.prod(network.inputs[0].shape), math.prod(network.outputs[0].shape)
    try:
        certain, cases = conjunction(assertion.expr for assertion in query.assertions)
    except RecursionError as error:
        raise UserError(
            f"vnnlib_file: expected products, `and` and `or` nested less deeply than in {path}"
        ) from error
    return _properties(certain, cases, inputs, outputs)


def _parsed(path: Path) -> Any:
    vnnlib = needed("vnnlib")
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="utf-8") as file:
            text = file.read()
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise UserError(f"vnnlib_file: expected a text file; {path}: {error}") from error
    check_depth(text)
    text = as_version_2(text)
    try:
        query = vnnlib.parse_query_string(text)
    except IndexError as error:  # what std::stod throws
        raise UserError(
            f"vnnlib_file: expected numbers in float64's range; {path} has others"
        ) from error
    except vnnlib.VNNLibException as error:
        message = " ".join(str(error).split())[:300]
        raise UserError(f"vnnlib_file: expected VNN-LIB; {path} is not: {message}") from error
    networks = query.networks
    if len(networks) != 1 or len(networks[0].inputs) != 1 or len(networks[0].outputs) != 1:
        raise UserError(
            f"vnnlib_file: expected one network with one input and one output; {path} has others"
        )
    return query


def _properties(certain: Case, cases: list[Case], inputs: int, outputs: int) -> list[Property]:
    """The properties of cases: those with one box are one; boxes without inputs are left out."""
    common, certain_rows = _split(certain)
    frame, clauses = Frame(common, inputs), _Clauses(outputs)
    boxes: dict[frozenset, tuple[Ends, list[Clause]]] = {}
    for case in cases:
        ends, rows = _split(case)
        clause, tighter = clauses.of(both(certain_rows, rows)), frame.tighter(ends)
        if frame.is_possible(tighter):
            box = boxes.setdefault(frozenset(tighter.items()), (tighter, []))
            box[1].append(clause)
            check_count("ends of boxes", 2 * inputs * len(boxes))
    return [Property(*frame.cut(ends), tuple(parts)) for ends, parts in boxes.values()]


def _split(case: Case) -> tuple[Ends, Case]:
    """The ends of inputs, and the rows of outputs; UserError for rows of other forms."""
    ends: Ends = {}
    rows: Case = {}
    for weights, offset in case.items():
        if not any(variable.is_input for variable, _ in weights):
            rows[weights] = offset
        elif len(weights) == 1:
            ((variable, sign),) = weights
            ends[variable.place, sign] = offset
        else:
            raise UserError(
                "vnnlib_file: expected constraints of inputs one by one; received one of "
                f"{len(weights)} variables"
            )
    return ends, rows


class _Clauses:
    """Clauses of outputs; those that are equal are one object."""

    def __init__(self, outputs: int) -> None:
        self.outputs = outputs
        self.by_rows: dict[tuple, Clause] = {}
        self.weights = 0

    def of(self, rows: Case) -> Clause:
        """The clause of rows; UserError without rows, and for numbers that float32 cannot hold."""
        if not rows:
            raise UserError(
                "vnnlib_file: expected constraints of outputs; received a case without any"
            )
        key = tuple(rows.items())
        if key not in self.by_rows:
            self.weights += len(rows) * self.outputs
            check_count("weights of clauses", self.weights)
            matrix = np.stack([self._row(weights) for weights in rows])
            for offset in rows.values():
                check_size(offset, "constraints of outputs, in whole numbers,")
            self.by_rows[key] = Clause(matrix, tuple(rows.values()))
        return self.by_rows[key]

    def _row(self, weights: Weights) -> np.ndarray:
        row = np.zeros(self.outputs, np.float32)
        for variable, weight in weights:
            if abs(weight) > EXACT:
                raise UserError(
                    "vnnlib_file: expected weights of outputs that float32 holds, in whole "
                    f"numbers; received {', '.join(str(w)[:40] for _, w in weights)}"
                )
            row[variable.place] = weight
        return row
