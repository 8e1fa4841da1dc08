"""Comparisons of attacks, on the examples that both tried."""

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
        """The question's threat and radius: `linf 0.1`."""
        return f"{self.question.threat} {radius_text(self.question.eps)}"

    @property
    def budget(self) -> int:
        """Gradient steps for an example, over all restarts."""
        return int(self.settings["steps"] or 1) * int(self.settings["restarts"] or 1)

    @property
    def left(self) -> float:
        """The accuracy that the attack leaves."""
        return sum(self.withstood.values()) / len(self.withstood)


class CheckResult(NamedTuple):
    """The result of a check: the number that must not exceed its threshold, and words."""

    value: float
    text: str


def trials_of(question: Question) -> Iterable[Trial]:
    """Yields the attacks of a question that were tried on any example."""
    for name, settings in question.attacks.items():
        rows = [row for row in question.rows if name in row["attacks"]]
        if rows:
            withstood = {row["index"]: not row["attacks"][name]["success"] for row in rows}
            clean = {row["index"]: bool(row["correct"]) for row in rows}
            yield Trial(question, name, settings, withstood, clean)


def of_kind(trials: Iterable[Trial], kind: Callable[[str, Row], bool]) -> list[Trial]:
    """The trials of attacks of a kind. kind: a function of `reporting.attacks.methods`."""
    return [trial for trial in trials if kind(trial.id, trial.settings)]


def against_best(weak: Sequence[Trial], strong: Sequence[Trial]) -> Iterable[CheckResult]:
    """Yields how much more accuracy the best strong attack leaves than each weak one.

    Of the strong attacks on the weak one's question, those count that share most examples with it:
    few examples are no evidence.
    """
    for trial in weak:
        of_question = [other for other in strong if other.question is trial.question]
        most = max((len(shared(other, trial)) for other in of_question), default=0)
        if most:
            results = [
                excess(other, trial) for other in of_question if len(shared(other, trial)) == most
            ]
            yield min(results, key=lambda result: result.value)


def shared(first: Trial, second: Trial) -> set[int]:
    """The examples that both attacks were tried on."""
    return first.withstood.keys() & second.withstood.keys()


def excess(strong: Trial, weak: Trial) -> CheckResult:
    """The difference between the accuracies that two attacks leave, on the examples of both."""
    common = shared(strong, weak)
    left = [sum(trial.withstood[index] for index in common) for trial in (strong, weak)]
    shown = [percent(rate(count, len(common))) for count in left]
    text = (
        f"{weak.place}: {strong.id} leaves {shown[0]}, {weak.id} leaves {shown[1]} of "
        f"{len(common):,} examples"
    )
    return CheckResult((left[0] - left[1]) / len(common), text)


def families(trials: Sequence[Trial]) -> list[list[Trial]]:
    """The attacks of one question by their settings, but for budget, step size and seed."""
    table: dict[str, list[Trial]] = {}
    for trial in trials:
        same = [trial.settings.get(key) for key in ("attack", "start", "loss")]
        table.setdefault(repr([trial.question.name, *same]), []).append(trial)
    return list(table.values())
