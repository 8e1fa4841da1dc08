"""Lines of a figure: accuracies at several radii, of the same images and by one means.

Accuracies of other images, or by another ladder or other attacks, are points by themselves.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rt_tf.records.merge import CERTIFY, Question
from rt_tf.records.record_file import Row
from rt_tf.reporting import predicates, statistics
from rt_tf.reporting.inference import full_threat_of

Verdicts = dict[int, bool]  # by an image's index


class Means(NamedTuple):
    """The means of an accuracy: a ladder's rungs, or attacks.

    key: distinguishes it from others. names: of rungs, or of attacks' records; `certify` for a
    search of a ladder.
    """

    key: str
    names: tuple[str, ...]


def lines(questions: Sequence[Question]) -> list[Row]:
    """A row {threat, accuracy, by, sample, points: [{epsilon, rate}]} for each line.

    The line of a threat and an accuracy joins the largest number of verdicts (images times radii)
    that one means gave; there is none where no two radii have images in common.
    """
    rows = []
    for threat in dict.fromkeys(question.threat for question in questions):
        of_threat = [question for question in questions if question.threat == threat]
        for accuracy, ways in WAYS.items():
            best = _best(of_threat, ways)
            rows += [{"threat": threat, "accuracy": accuracy, **best}] if best else []
    return rows


def _best(questions: Sequence[Question], ways: Callable[[Question], Iterable[Means]]) -> Row | None:
    """The line of the most verdicts; of several, the one of the most radii, then of most means."""
    candidates = []
    for threat in dict.fromkeys(map(full_threat_of, questions)):
        of_threat = [question for question in questions if full_threat_of(question) == threat]
        for means in dict.fromkeys(way for question in of_threat for way in ways(question)):
            by_eps = {q.eps: _verdicts(q, means) for q in of_threat if means in ways(q)}
            candidates += _lines(means, by_eps, of_threat)
    return max(candidates, key=_rank, default=None)


def _rank(line: Row) -> tuple[int, int, int]:
    radii = len(line["points"])
    return line["sample"]["n"] * radii, radii, len(line["by"])


def _lines(means: Means, by_eps: dict[float, Verdicts], questions: Sequence[Question]) -> list[Row]:
    """The lines of one means through each set of images that have verdicts at two radii or more."""
    joined = []
    for images in dict.fromkeys(frozenset(verdicts) for verdicts in by_eps.values()):
        points = [
            {"epsilon": eps, "rate": statistics.rate(sum(verdicts[i] for i in images), len(images))}
            for eps, verdicts in sorted(by_eps.items())
            if images <= verdicts.keys()
        ]
        if images and len(points) > 1:
            rows = {row["index"]: row for question in questions for row in question.rows}
            sample = statistics.sample([rows[i] for i in sorted(images)])
            by = ["the ladder's search" if name == CERTIFY else name for name in means.names]
            joined.append({"by": by, "sample": sample, "points": points})
    return joined


def _ladder(question: Question) -> Means | None:
    """The means of a ladder: its rungs in any order and its settings but time and memory."""
    if CERTIFY not in question.headers:
        return None
    settings = dict(question.headers[CERTIFY]["settings"])
    rungs = sorted(settings.pop("rungs", ()))
    return Means(json.dumps([rungs, settings], sort_keys=True), tuple(rungs) or ("a ladder",))


def _clean(question: Question) -> list[Means]:
    return [Means("clean", ("the images themselves",))]


def _certified(question: Question) -> list[Means]:
    ladder = _ladder(question)
    return [ladder] if ladder else []


def _attacked(question: Question) -> list[Means]:
    """The means of each attack alone, and of all together."""
    names = [*question.attacks, *([CERTIFY] if _searches(question) else [])]
    alone = [_by_attacks(question, [name]) for name in names]
    return [*alone, _by_attacks(question, names)] if len(names) > 1 else alone


def _by_attacks(question: Question, names: Sequence[str]) -> Means:
    ladder = _ladder(question) if CERTIFY in names else None
    return Means(json.dumps([sorted(names), ladder and ladder.key]), tuple(names))


def _searches(question: Question) -> bool:
    return any(row.get("searched") and predicates.is_asked(row) for row in question.rows)


WAYS: dict[str, Callable[[Question], list[Means]]] = {
    "clean": _clean,
    "attacked": _attacked,
    "certified": _certified,
}


def _verdicts(question: Question, means: Means) -> Verdicts:
    """Whether each image that the means gave a verdict on is right, by index."""
    if means in _clean(question):
        return {row["index"]: predicates.is_clean(row) for row in question.rows}
    if means in _certified(question):
        rows = filter(predicates.is_asked, question.rows)
        return {row["index"]: predicates.is_certified(row) for row in rows}
    return {
        row["index"]: all(_withstands(row, name) for name in means.names)
        for row in question.rows
        if all(_was_tried(row, name) for name in means.names)
    }


def _was_tried(row: Row, name: str) -> bool:
    if name == CERTIFY:
        return bool(row.get("searched") and predicates.is_asked(row))
    return name in row["attacks"]


def _withstands(row: Row, name: str) -> bool:
    if name == CERTIFY:
        return predicates.is_clean(row) and not row.get("counterexample")
    return not row["attacks"][name]["success"]
