"""The report of a run directory as one plain dict, schema `rt_tf.report/4`.

    schema, system, created (UTC)
    claim        {"sentence", "threat", "limits": [...]}: what is proved, in words
    main         the name of the question that the run was made for, e.g. "linf-0.05"
    questions    [question], every (threat, eps) with records, sorted
    lines        [line], at most one for each threat and accuracy
    radii        [radius], by threat, where certified radii were searched
    suites       [suite], by name
    warnings     [text]: reasons why attacks may be weaker than they seem, and parts of the
                  examples that lack answers
    sanity       [{check, threat, passed, told}], see `sanity`
    examples     {threat: [example]}, the smallest counterexamples over all attacks and radii
    data         {name, version, split, classes, class_names, shape, pixel_max, size, checksum,
                  sample, notes: [text] on what was made of the data, columns: {scaling, domain,
                  each: [{name, offset, unit}]} | null (of a table: networks read (value - offset) /
                  unit)}; class_names and notes are null where none are known
    model        {name, parameters, hidden_units, network_sha256,
                  given: {file, sha256, input_range, notes, comparisons: [comparison]} | null
                  (trained here)}
    training     {"history": [...], "selected", "seconds", "cpu_seconds",
                  final, best: {phase, epoch, train, validation: {clean, attacked, verified}} |
                  null (watched at the end, and where the network was selected)}
    provenance   {flags, seed, versions, hardware, seconds, code: {version, commit, changed} |
                  null}; commit and changed are null where the code was in no checkout of its own

    comparison   {kind, inputs, difference, rounding, size (of logits), ties (labels that differ
                  within rounding)}: of the network with the file it was made of
    question     {name, threat, epsilon, domain, clean, attacked, certified: rate | null,
                  probable, trusted: rate | null (certified, or so in a weaker sense),
                  common: {clean, attacked, certified} on the examples of both, if these are fewer,
                  outcomes: {certified, loose, time, memory, error, not_asked, attack,
                             misclassified},
                  certificate: {settings, sample, seconds, pace, rungs: [rung], inferred: those
                  certified by a certificate at a larger radius alone} | null,
                  attacks: [attack],
                  classes: [{label, clean, attacked, certified}], margins: histogram | null}
    line         {threat, accuracy: "clean" | "attacked" | "certified", by: [rung or attack],
                  sample, points: [{epsilon, rate}]}: radii with accuracies of the same images by
                  the same means; accuracies of other images or by other means are on no line
    pace         [{seconds, certified, falsified, open}]: within so many seconds an image
    rung         {rung, tried, certified, credited, falsified, probable, trusted, loose, time,
                  memory, error, seconds}
    attack       {id, name, settings, sample, attacked: rate, distance: distances | null, seconds}
    radius       {threat, domain, settings, rungs: {rung: radii credited}, largest eps tried,
                  sample, clean: rate, at_largest: rate of those certified there,
                  quantiles: {"0.05", "0.25", "0.5", "0.75", "0.95"},
                  correct, misclassified: distances | null (the radii of either; mean of correct
                  ones is what papers call the average), trials: mean, seconds,
                  curve: [{epsilon, certified: rate (right, and radius >= epsilon), attacked: rate |
                  null (right, and no counterexample known within epsilon)}],
                  distribution: [{n, correct: share, median}] by growing radius}; radii are of the
                  class that the network gives, right or wrong
    suite        {suite, samples, warnings, sample, clean: rate,
                  rows: [{question, id, name, attacked: rate, distance: distances | null, seconds}],
                  minima: [{question, threat, epsilon, attacked: rate}] over all its attacks there,
                  all: rate over all attacks of all questions}; worst cases are by example, and
                  all rates are of the one sample that all attacks were tried on
    example      {question, threat, epsilon, index, label, prediction, attack, name, distance, file,
                  norms: {linf, l2, l1} measured again (where the report is written with images)}
    rate         {n, count, rate, low, high}: Clopper-Pearson 95 % interval
    distances    {n, min, median, mean, max}, of counterexamples or radii, in the threat's unit
    seconds      {total, mean, median, max} per image
    sample       {n, indices ("0-359,400"), sha256}

Accuracies are in [0, 1], eps in the threat's unit (of a norm: the input's, whose `domain`
is {lower, upper}). `file` is relative to the run.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from rt_tf.domain import UNIT
from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row
from rt_tf.reporting import distributions, outcomes, predicates, statistics
from rt_tf.reporting.attacks import methods
from rt_tf.reporting.attacks.sanity import sanity
from rt_tf.reporting.attacks.suites import suites
from rt_tf.reporting.attacks.warnings import all_of
from rt_tf.reporting.claim import claim, domain_of
from rt_tf.reporting.counterexamples import smallest
from rt_tf.reporting.lines import lines
from rt_tf.reporting.lost_slices import lost_slices
from rt_tf.reporting.radii import radii
from rt_tf.reporting.recorded import own_question, recorded

SCHEMA = "rt_tf.report/4"


def summarise(run_dir: str | Path, examples: int = 8) -> Row:
    """The report of a run, with up to `examples` counterexamples of each threat.

    Raises Inconsistent if records contradict each other or the run, or if any example breaks clean
    >= attacked >= certified; UserError if the run's own question has no records.
    """
    records = Path(run_dir) / "records"
    run, history, questions, certified = recorded(run_dir)
    main = own_question(run, questions)
    return {
        "schema": SCHEMA,
        "system": run["system"],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "claim": claim(main, run),
        "main": main.name,
        "questions": [answer(question) for question in questions],
        "lines": lines(questions),
        "radii": radii(certified, questions),
        "suites": suites(records, questions),
        "warnings": [
            *all_of(records, run["network_sha256"], questions),
            *lost_slices(records),
        ],
        "sanity": sanity(questions, math.prod(run["dataset"]["shape"]), domain_of(run).width),
        "examples": smallest(questions, examples),
        "data": _data(main, run),
        "model": {
            **run["model"],
            "network_sha256": run["network_sha256"],
            "given": run.get("given"),
        },
        "training": {
            "history": history,
            "selected": run.get("selected"),
            "seconds": run.get("seconds", {}).get("train"),
            "cpu_seconds": run.get("cpu_seconds", {}).get("train"),
            "final": _watched(history[-1] if history else None),
            "best": _watched(_selected(history, run.get("selected") or {})),
        },
        "provenance": {
            key: run.get(key)
            for key in ("flags", "seed", "versions", "code", "hardware", "seconds")
        },
    }


def main_question(report: Row) -> Row:
    """The question that the run was made for."""
    return next(q for q in report["questions"] if q["name"] == report["main"])


def by_threat(report: Row) -> dict[str, list[Row]]:
    """The questions by threat, by growing eps; the main question's threat comes first."""
    table: dict[str, list[Row]] = defaultdict(list)
    for question in [main_question(report), *report["questions"]]:
        table[question["threat"]].append(question)
    return {
        threat: sorted({q["name"]: q for q in of_threat}.values(), key=lambda q: q["epsilon"])
        for threat, of_threat in table.items()
    }


WEAKER = {"probable": "with high probability", "trusted": "by a solver's word"}


def weaker(report: Row) -> dict[str, str]:
    """The kinds of certificate in the report that do not count as proofs, with their words."""
    kinds = {kind for question in report["questions"] for kind in WEAKER if question[kind]}
    return {kind: WEAKER[kind] for kind in WEAKER if kind in kinds}


def _selected(history: Sequence[Row], selected: Row) -> Row | None:
    """The row of history of the evaluation by which the network was selected."""
    return next((row for row in history if row["step"] == selected.get("step")), None)


def _watched(row: Row | None) -> Row | None:
    return row and {name: row[name] for name in ("phase", "epoch", "train", "validation")}


def _data(main: Question, run: Row) -> Row:
    dataset = run["dataset"]
    split = next(iter(main.headers.values()))["split"]
    keep = ("name", "version", "classes", "class_names", "shape", "pixel_max", "columns", "notes")
    return {
        **{key: dataset.get(key) for key in keep},
        "domain": domain_of(run).config(),
        "split": split,
        "size": dataset[split]["size"],
        "checksum": dataset[split]["checksum"],
        "sample": statistics.sample(main.rows),
    }


def answer(question: Question) -> Row:
    """A question's row of the report (`question` in its schema)."""
    rows = question.rows
    return {
        "name": question.name,
        "threat": question.threat,
        "epsilon": question.eps,
        "domain": next(iter(question.headers.values())).get("domain", UNIT.config()),
        **statistics.accuracies(rows),
        **statistics.weaker(rows),
        "common": statistics.common(rows),
        "outcomes": outcomes.outcomes(rows),
        "certificate": _certificate(question),
        "attacks": [methods.summary(question, name) for name in question.attacks],
        "classes": statistics.classes(rows),
        "margins": distributions.margins(rows),
    }


def _certificate(question: Question) -> Row | None:
    if "certify" not in question.headers:
        return None
    rows = [row for row in question.rows if predicates.is_asked(row)]
    return {
        "settings": question.headers["certify"]["settings"],
        "sample": statistics.sample(rows),
        "seconds": distributions.seconds(row["seconds"] for row in rows),
        "pace": distributions.pace(rows),
        "rungs": outcomes.rungs(rows),
        "inferred": sum(map(predicates.is_inferred, rows)),
    }
