"""From a run directory to one plain dict: the report, schema `rt_tf.report/1`.

    schema, system, created (UTC)
    claim        {"sentence", "threat", "limits": [...]}: what is proved, in words
    main         the name of the question the run was made for, e.g. "linf-0.05"
    questions    [question], every (threat, eps) found, sorted
    data         {name, version, split, classes, shape, pixel_max, size, checksum, sample}
    model        {name, parameters, hidden_units, network_sha256,
                  given: {file, sha256, input_range, notes} | null (trained here)}
    training     {"history": [...], "selected", "seconds"}
    provenance   {flags, seed, versions, git_commit, hardware, seconds}

    question     {name, threat, epsilon, clean, attacked, certified: rate | null,
                  common: {clean, attacked, certified} on the examples of both, if these are fewer,
                  outcomes: {certified, loose, time, memory, error, not_asked, attack,
                             misclassified},
                  certificate: {settings, sample, seconds, rungs: [rung]} | null,
                  attacks: [attack],
                  classes: [{label, clean, attacked, certified}], margins: histogram | null,
                  examples: [{index, label, prediction, attack, file}]}
    rung         {rung, tried, certified, credited, falsified, probable, loose, time, memory, error,
                  seconds}
    attack       {id, settings, sample, attacked: rate, seconds}
    rate         {n, count, rate, low, high}: Clopper-Pearson 95 % interval
    seconds      {total, mean, median, max} per image
    sample       {n, indices ("0-359,400"), sha256}

Accuracies are in [0, 1], eps in pixel units (pixels in [0, 1]). `file` is relative to the run.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from rt_tf.errors import UserError
from rt_tf.reporting import statistics
from rt_tf.reporting.consistency import Row, check_order, require
from rt_tf.reporting.record_file import read_lines
from rt_tf.reporting.records import Question, load, question_name

SCHEMA = "rt_tf.report/1"
THREATS = {
    "linf": "every pixel may change by at most {eps:g}",
    "l2": "the change of the image has Euclidean norm at most {eps:g}",
    "l1": "the absolute changes of all pixels add up to at most {eps:g}",
}


def summarise(run_dir: str | Path, examples: int = 8) -> Row:
    """The report of a run, up to `examples` counterexamples in it.

    Raises Inconsistent if records contradict each other or the run, or if any example breaks
    clean >= attacked >= certified; UserError if the run's own question has no records.
    """
    run_dir = Path(run_dir)
    run = json.loads((run_dir / "run.json").read_text(encoding="utf-8"))
    questions = load(run_dir / "records")
    main = _main(run, questions)
    for question in questions:
        _check(question, run)
    return {
        "schema": SCHEMA,
        "system": run["system"],
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "claim": _claim(main, run),
        "main": main.name,
        "questions": [_question(question, examples) for question in questions],
        "data": _data(main, run),
        "model": {
            **run["model"],
            "network_sha256": run["network_sha256"],
            "given": run.get("given"),
        },
        "training": {
            "history": read_lines(run_dir / "history.jsonl"),
            "selected": run.get("selected"),
            "seconds": run.get("seconds", {}).get("train"),
        },
        "provenance": {
            key: run.get(key)
            for key in ("flags", "seed", "versions", "git_commit", "hardware", "seconds")
        },
    }


def main_question(report: Row) -> Row:
    """The question the run was made for."""
    return next(q for q in report["questions"] if q["name"] == report["main"])


def by_threat(report: Row) -> dict[str, list[Row]]:
    """The questions of each threat by growing eps, the main one's threat first."""
    table: dict[str, list[Row]] = defaultdict(list)
    for question in [main_question(report), *report["questions"]]:
        table[question["threat"]].append(question)
    return {
        threat: sorted({q["name"]: q for q in found}.values(), key=lambda q: q["epsilon"])
        for threat, found in table.items()
    }


def words(threat: str, eps: float, pixel_max: int | None = None) -> str:
    """A threat and its radius in words."""
    text = THREATS.get(threat, "a change within {eps:g} of the threat '" + threat + "'")
    grey = f" ({eps * pixel_max:.3g} of {pixel_max} grey levels)" if pixel_max else ""
    return text.format(eps=eps) + grey + ", pixels staying in [0, 1]"


def _main(run: Row, questions: Sequence[Question]) -> Question:
    flags = run["flags"]
    name = question_name(str(flags["threat"]), _number(flags["epsilon"]))
    for question in questions:
        if question.name == name:
            return question
    found = ", ".join(q.name for q in questions) or "none"
    raise UserError(f"report: expected records of the run's own {name}, what exists: {found}")


def _number(value: Any) -> float:
    """A flag's radius: 0.05, "0.05" or "8/255"."""
    return float(Fraction(value)) if isinstance(value, str) else float(value)


def _check(question: Question, run: Row) -> None:
    for name, header in question.headers.items():
        require(
            header["network_sha256"] == run["network_sha256"],
            f"{question.name}/{name} is of network {header['network_sha256'][:12]}, "
            f"the run of {run['network_sha256'][:12]}",
        )
    for row in question.rows:
        check_order(row, f"{question.name}, example {row['index']}")


def _claim(main: Question, run: Row) -> Row:
    accuracies = statistics.accuracies(main.rows)
    threat = words(main.threat, main.eps, run["dataset"].get("pixel_max"))
    return {
        "sentence": _sentence(accuracies["certified"], threat),
        "threat": threat,
        "limits": _limits(main, run),
    }


def _sentence(certified: Row | None, threat: str) -> str:
    if certified is None:
        return "Nothing is certified: no certificate was asked for."
    return (
        f"For {certified['count']:,} of {certified['n']:,} test images it is proved that the "
        f"network gives the right class to the image and to every image reachable from it when "
        f"{threat}."
    )


def _limits(main: Question, run: Row) -> list[str]:
    network = run["network_sha256"][:12]
    split = next(iter(main.headers.values()))["split"]
    return [
        f"A certificate covers the exported float32 network (SHA-256 {network}…) in any order of "
        "summation, with or without fused multiply-add and denormals: the bounds carry a stated "
        "model of rounding errors. It does not cover other precisions or changed weights.",
        "It covers this threat and radius only: not other norms, larger radii, rotations, "
        "corruptions, or changes made before the image was digitised.",
        f"It is a statement about the listed images of the {split} split. The intervals say what "
        "to expect of further images from the same source; nothing is said about other sources.",
        "Attacked accuracy is an upper limit set by the attacks listed; a stronger attack may "
        "lower it, never below certified accuracy. Between the two, the answer is not known.",
        "The proof is computed by rt_tf's bound code, which is tested but not itself verified by "
        "a proof checker.",
    ]


def _data(main: Question, run: Row) -> Row:
    dataset = run["dataset"]
    split = next(iter(main.headers.values()))["split"]
    keep = ("name", "version", "classes", "shape", "pixel_max")
    return {
        **{key: dataset.get(key) for key in keep},
        "split": split,
        "size": dataset[split]["size"],
        "checksum": dataset[split]["checksum"],
        "sample": statistics.sample(main.rows),
    }


def _question(question: Question, examples: int) -> Row:
    rows = question.rows
    return {
        "name": question.name,
        "threat": question.threat,
        "epsilon": question.eps,
        **statistics.accuracies(rows),
        "common": statistics.common(rows),
        "outcomes": statistics.outcomes(rows),
        "certificate": _certificate(question),
        "attacks": [_attack(question, name) for name in question.headers if name != "certify"],
        "classes": statistics.classes(rows),
        "margins": statistics.margins(rows),
        "examples": _examples(question, examples),
    }


def _certificate(question: Question) -> Row | None:
    if "certify" not in question.headers:
        return None
    rows = [row for row in question.rows if statistics.is_asked(row)]
    return {
        "settings": question.headers["certify"]["settings"],
        "sample": statistics.sample(rows),
        "seconds": statistics.seconds(row["seconds"] for row in rows),
        "rungs": statistics.rungs(rows),
    }


def _attack(question: Question, stem: str) -> Row:
    header = question.headers[stem]
    name = stem.removeprefix("attack-")
    rows = [row for row in question.rows if name in row["attacks"]]
    withstood = sum(not row["attacks"][name]["success"] for row in rows)
    return {
        "id": name,
        "settings": header["settings"],
        "sample": statistics.sample(rows),
        "attacked": statistics.rate(withstood, len(rows)),
        "seconds": statistics.seconds(row["attacks"][name]["seconds"] for row in rows),
    }


def _examples(question: Question, count: int) -> list[Row]:
    """Counterexamples of many classes: the first of each class, then the second of each, ..."""
    turns: dict[int, int] = defaultdict(int)
    found: list[tuple[int, int, Row]] = []
    for row in question.rows:
        stored = [(name, a) for name, a in row["attacks"].items() if a["file"] is not None]
        if row["correct"] and stored:
            found.append((turns[row["label"]], row["label"], _example(question, row, *stored[0])))
            turns[row["label"]] += 1
    return [example for _, _, example in sorted(found, key=lambda item: item[:2])[:count]]


def _example(question: Question, row: Row, name: str, attack: Row) -> Row:
    return {
        "index": row["index"],
        "label": row["label"],
        "prediction": attack["prediction"],
        "attack": name,
        "file": f"records/{question.name}/{attack['file']}",
    }
