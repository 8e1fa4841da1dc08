"""Signs that attacks failed for want of a gradient, not because the network is robust.

The list is that of Athalye et al. 2018 (section 3.1) and Carlini et al. 2019 (section 4). A check
compares attacks on the examples that all of them tried, and is left out where the records hold
nothing to compare.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row
from rt_tf.reporting.attacks import methods
from rt_tf.reporting.attacks.trials import (
    CheckResult,
    Trial,
    against_best,
    excess,
    families,
    of_kind,
    shared,
    trials_of,
)
from rt_tf.reporting.formats import percent, points
from rt_tf.reporting.statistics import rate

SLACK = 0.005  # by how much an attack that should be stronger may be the weaker one
BUDGET_CHANGE = 0.005  # how much accuracy may depend on steps and restarts
NOISE_LOSS = 0.05  # how much clean accuracy random noise may cost
UNBOUNDED_ACCURACY = 0.0  # the accuracy that an attack of any size may leave
CURVE = 3  # radii that make a curve to 0 %, for threats without a known radius that reaches all
ROUNDING = 1e-9  # of differences of accuracies

Half = Mapping[str, float]  # by threat, the radius that reaches the uniform grey from everywhere


class Check(NamedTuple):
    """A check: the statement that should hold, the threshold, and the comparison of trials."""

    name: str
    threshold: float
    find: Callable[[Sequence[Trial], Half], Iterable[CheckResult]]


def sanity(questions: Sequence[Question], pixels: int, width: float = 1.0) -> list[Row]:
    """A row {check, threat, passed, told} for each check of a threat that the records allow.

    pixels: the number of values of an image; width: of their domain. Of several comparisons the row
    has the worst; all pass if it does.
    """
    half = {"linf": 0.5 * width, "l2": 0.5 * width * math.sqrt(pixels), "l1": 0.5 * width * pixels}
    all_trials = [trial for question in questions for trial in trials_of(question)]
    threats = list(dict.fromkeys(trial.question.threat for trial in all_trials))
    rows = []
    for check in CHECKS:
        for threat in threats:
            some = [trial for trial in all_trials if trial.question.threat == threat]
            findings = list(check.find(some, half))
            rows += [_row(check, threat, findings)] if findings else []
    return rows


def not_checked(rows: Sequence[Row]) -> list[str]:
    """The names of the checks without a row."""
    done = {row["check"] for row in rows}
    return [check.name for check in CHECKS if check.name not in done]


def _row(check: Check, threat: str, findings: Sequence[CheckResult]) -> Row:
    worst = max(findings, key=lambda finding: finding.value)
    more = f" (the worst of {len(findings)} comparisons)" if len(findings) > 1 else ""
    passed = worst.value <= check.threshold + ROUNDING
    return {"check": check.name, "threat": threat, "passed": passed, "told": worst.text + more}


def _single_step(trials: Sequence[Trial], _half: Half) -> Iterable[CheckResult]:
    weak, strong = of_kind(trials, methods.is_single_step), of_kind(trials, methods.is_iterative)
    return against_best(weak, strong)


def _black_box(trials: Sequence[Trial], _half: Half) -> Iterable[CheckResult]:
    weak, strong = of_kind(trials, methods.is_black_box), of_kind(trials, methods.is_white_box)
    return against_best(weak, strong)


def _budget(trials: Sequence[Trial], _half: Half) -> Iterable[CheckResult]:
    """The change by the largest budget of an iterative attack, compared with the next smaller."""
    for family in families(of_kind(trials, methods.is_iterative)):
        largest = max(family, key=lambda trial: trial.budget)
        smaller = [trial for trial in family if trial.budget < largest.budget]
        smaller = [trial for trial in smaller if shared(trial, largest)]
        if smaller:
            finding = excess(largest, max(smaller, key=lambda trial: trial.budget))
            yield CheckResult(abs(finding.value), finding.text)


def _noise(trials: Sequence[Trial], _half: Half) -> Iterable[CheckResult]:
    for trial in trials:
        if methods.is_noise(trial.settings):
            n, clean = len(trial.clean), sum(trial.clean.values())
            left = sum(trial.withstood.values())
            text = f"{trial.place}: {trial.id} leaves {percent(rate(left, n))} of a clean "
            text += f"accuracy of {percent(rate(clean, n))} on {n:,} examples"
            yield CheckResult((clean - left) / n, text)


def _unbounded(trials: Sequence[Trial], half: Half) -> Iterable[CheckResult]:
    """The accuracy that the best iterative attack leaves at the largest radius, if unbounded.

    Where it leaves nothing, a larger radius could not leave more.
    """
    iterative = of_kind(trials, methods.is_iterative)
    radii = {trial.question.eps for trial in iterative}
    last = [trial for trial in iterative if trial.question.eps == max(radii)]
    if last:
        best = min(last, key=lambda trial: (-len(trial.withstood), trial.left))
        if best.left <= UNBOUNDED_ACCURACY or _reaches_all(best.question, len(radii), half):
            yield CheckResult(best.left, _unbounded_text(best))


def _reaches_all(question: Question, radii: int, half: Half) -> bool:
    """Whether a radius is as good as unbounded: it reaches the uniform grey from every image."""
    if question.threat in half:
        return question.eps >= half[question.threat]
    return radii >= CURVE


def _unbounded_text(trial: Trial) -> str:
    n, left = len(trial.withstood), sum(trial.withstood.values())
    share = percent(rate(left, n))
    return f"{trial.place}, the largest radius: {trial.id} leaves {share} of {n:,} examples"


CHECKS = (
    Check(
        f"iterative attacks are not weaker than single-step ones (by over {points(SLACK)})",
        SLACK,
        _single_step,
    ),
    Check(
        f"more steps and restarts change at most {points(BUDGET_CHANGE)}", BUDGET_CHANGE, _budget
    ),
    Check(
        f"white-box attacks are not weaker than black-box ones (by over {points(SLACK)})",
        SLACK,
        _black_box,
    ),
    Check(f"random noise costs at most {points(NOISE_LOSS)} of clean accuracy", NOISE_LOSS, _noise),
    Check("an unbounded attack leaves 0 %", UNBOUNDED_ACCURACY, _unbounded),
)
