"""The smallest counterexamples to a threat, with their images measured again."""

from __future__ import annotations

import hashlib
import io
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from rt_tf.domain import UNIT, Domain, Given
from rt_tf.files import NUMPY_DAMAGE, write_bytes
from rt_tf.records.consistency import Inconsistent, require
from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row
from rt_tf.reporting.attacks import methods

Originals = Callable[[Sequence[int]], np.ndarray]
Images = tuple[np.ndarray, np.ndarray]  # originals and counterexamples, each [k, h, w, c]
# Tolerances of distances measured again: relative, for sums in float32, and of float32 pixels.
TOLERANCE, PIXEL_TOLERANCE = 1e-5, 1e-7


def keep(folder: Path, file: str, image: np.ndarray) -> str:
    """Stores an image [...] in a question's folder; returns the file's SHA-256, for its record."""
    buffer = io.BytesIO()
    np.save(buffer, image)
    write_bytes(folder / file, buffer.getvalue())
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def smallest(questions: Iterable[Question], count: int) -> dict[str, list[Row]]:
    """Up to `count` counterexamples of each threat, over all attacks and radii; one for an image.

    Each class's smallest come first, by growing distance, then each class's second, and so on.
    """
    by_threat: dict[str, list[Row]] = defaultdict(list)
    for question in questions:
        by_threat[question.threat] += _stored_examples(question)
    return {threat: _turns(rows)[:count] for threat, rows in by_threat.items() if rows}


def measure(
    run_dir: Path, examples: dict[str, list[Row]], originals: Originals, domain: Given = UNIT
) -> dict[str, Images]:
    """The images before and after of `smallest`, by threat; each example gains its `norms`.

    Raises Inconsistent for a stored image that differs from its record, or is not in the domain.
    """
    limits = Domain.of(domain)
    return {threat: _images(run_dir, rows, originals, limits) for threat, rows in examples.items()}


def _stored_examples(question: Question) -> Iterator[Row]:
    """All stored counterexamples to images that the network gets right."""
    names = methods.names(question.attacks)
    for row in filter(lambda row: row["correct"], question.rows):
        for name, attack in row["attacks"].items():
            if attack["file"] is not None:
                yield _example(question, row, attack, name, names[name])
        if stored := row.get("counterexample"):
            yield _example(question, row, stored, "certify", f"ladder, {stored['rung']}")


def _example(question: Question, row: Row, stored: Row, attack: str, name: str) -> Row:
    return {
        "question": question.name,
        "threat": question.threat,
        "epsilon": question.eps,
        "index": row["index"],
        "label": row["label"],
        "prediction": stored["prediction"],
        "attack": attack,
        "name": name,
        "distance": stored["distance"],
        "file": f"records/{question.name}/{stored['file']}",
    }


def _turns(rows: list[Row]) -> list[Row]:
    """Each example's smallest row; the first of every class before the second of any."""
    turns: dict[int, int] = defaultdict(int)
    seen: set[int] = set()
    by_turn = []
    for row in sorted(rows, key=lambda row: (row["distance"], row["index"])):
        if row["index"] not in seen:
            seen.add(row["index"])
            by_turn.append((turns[row["label"]], row))
            turns[row["label"]] += 1
    return [row for _, row in sorted(by_turn, key=lambda item: item[0])]


def _images(run_dir: Path, examples: list[Row], originals: Originals, domain: Domain) -> Images:
    before = np.asarray(originals([example["index"] for example in examples]))
    after = np.stack([stored_image(run_dir / e["file"], before.shape[1:]) for e in examples])
    for example, x, y in zip(examples, before, after, strict=True):
        change = (y.astype(np.float64) - x).ravel()
        example["norms"] = {
            "linf": float(np.abs(change).max()),
            "l2": float(np.linalg.norm(change)),
            "l1": float(np.abs(change).sum()),
        }
        _check_inside(example, y, domain)
    return before, after


def stored_image(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The image of a file, [*shape]; Inconsistent if it is none."""
    try:
        image = np.load(path)
    except NUMPY_DAMAGE as error:
        raise Inconsistent(f"{path}: expected a stored image; it cannot be read") from error
    require(image.shape == shape, f"{path}: expected an image {shape}, received {image.shape}")
    return np.asarray(image)


def _check_inside(example: Row, image: np.ndarray, domain: Domain) -> None:
    """Requires that a counterexample is in the domain and, for a norm, at the recorded distance."""
    where = f"{example['question']}, example {example['index']}"
    recorded = example["distance"]
    distance = example["norms"].get(example["threat"], recorded)
    near = math.isclose(
        distance, recorded, rel_tol=TOLERANCE, abs_tol=PIXEL_TOLERANCE * domain.width
    )
    require(near, f"{where}: counterexample at distance {distance}, recorded as {recorded}")
    inside = bool(np.all((image >= domain.lower) & (image <= domain.upper)))
    require(inside, f"{where}: the counterexample leaves {domain}")
