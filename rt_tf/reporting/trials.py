"""Attacks compared with one another, on the examples that both were asked of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from rt_tf.exactly import radius_text
from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row
from rt_tf.reporting.formats import percent
from rt_tf.reporting.statistics import rate


class Trial(NamedTuple):
    """One attack at one question; `withstood` and `clean` by the examples' indices."""

    question: Question
    id: str
    settings: Row
    withstood: dict[int, bool]
    clean: dict[int, bool]

    @property
    def place(self) -> str:
        """Its threat and radius: `linf 0.1`."""
        return f"{self.question.threat} {radius_text(self.question.eps)}"

    @property
    def budget(self) -> int:
        """Gradient steps for an example, over all restarts."""
        return int(self.settings["steps"] or 1) * int(self.settings["restarts"] or 1)

    @property
    def left(self) -> float:
        """The accuracy it leaves."""
        return sum(self.withstood.values()) / len(self.withstood)


class CheckResult(NamedTuple):
    """What a check found: the number that must not exceed its threshold, and words."""

    value: float
    told: str


def trials_of(question: Question) -> Iterable[Trial]:
    """The attacks of a question that were asked of anything."""
    for name, settings in question.attacks.items():
        rows = [row for row in question.rows if name in row["attacks"]]
        if rows:
            withstood = {row["index"]: not row["attacks"][name]["success"] for row in rows}
            clean = {row["index"]: bool(row["correct"]) for row in rows}
            yield Trial(question, name, settings, withstood, clean)


def are(trials: Iterable[Trial], kind: Callable[[str, Row], bool]) -> list[Trial]:
    """Those of a kind that `rt_tf.reporting.attacks` tells."""
    return [trial for trial in trials if kind(trial.id, trial.settings)]


def against_best(weak: Sequence[Trial], strong: Sequence[Trial]) -> Iterable[CheckResult]:
    """For each weak attack, how much more accuracy the best strong one of its question leaves.

    The best of those that share most examples with it: few are no evidence.
    """
    for trial in weak:
        own = [other for other in strong if other.question is trial.question]
        most = max((len(shared(other, trial)) for other in own), default=0)
        if most:
            found = [excess(other, trial) for other in own if len(shared(other, trial)) == most]
            yield min(found, key=lambda finding: finding.value)


def shared(first: Trial, second: Trial) -> set[int]:
    """The examples that both were asked of."""
    return first.withstood.keys() & second.withstood.keys()


def excess(strong: Trial, weak: Trial) -> CheckResult:
    """How much more accuracy one attack leaves than another, on the examples of both."""
    common = shared(strong, weak)
    left = [sum(trial.withstood[index] for index in common) for trial in (strong, weak)]
    shown = [percent(rate(count, len(common))) for count in left]
    told = (
        f"{weak.place}: {strong.id} leaves {shown[0]}, {weak.id} leaves {shown[1]} of "
        f"{len(common):,} images"
    )
    return CheckResult((left[0] - left[1]) / len(common), told)


def families(trials: Sequence[Trial]) -> list[list[Trial]]:
    """Attacks of one question that differ in their budget alone, step size and seed aside."""
    table: dict[str, list[Trial]] = {}
    for trial in trials:
        same = [trial.settings.get(key) for key in ("attack", "start", "loss")]
        table.setdefault(repr([trial.question.name, *same]), []).append(trial)
    return list(table.values())
