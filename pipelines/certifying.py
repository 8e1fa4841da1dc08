"""Certifying the test examples of a run, rung by rung."""

import functools
from typing import Any

import numpy as np
from absl import flags
from rich.console import Console

from pipelines.question_flags import bound_settings
from pipelines.questions import Radii, Subject, answer, record_file
from pipelines.refusals import refuse_unanswered
from pipelines.verdict import Row, certificate
from rt_tf import catalogue
from rt_tf.certify.cascade import climb
from rt_tf.certify.ladder import Ladder
from rt_tf.reporting.records import question_name, read


def certify(subject: Subject, radii: Radii, values: flags.FlagValues, screen: Console) -> None:
    """Certifies test examples at each radius, rung by rung.

    A radius that was certified before with further rungs keeps them: certificates do not get worse.
    """
    rungs, bounds = list(values.rungs), bound_settings(values)
    for rung in rungs:
        refuse_unanswered(rung, subject.threat)
    compiled = _ladders(subject, rungs, bounds)
    for eps, samples in radii:
        known = _rungs_before(subject, eps)
        wanted = [*known, *(rung for rung in rungs if rung not in known)]
        ladders = compiled if wanted == rungs else _ladders(subject, wanted, bounds)
        settings = {"rungs": wanted, "arithmetic": "sound", **_taken(wanted, bounds)}
        records = record_file(subject, eps, "certify", "certify", settings)
        found = functools.partial(_certificates, subject, ladders, eps)
        answer(subject, records, samples, found, f"certify eps {eps:.4g}", _is_certified, screen)


def _ladders(subject: Subject, rungs: list[str], bounds: dict[str, Any]) -> list[Ladder]:
    """One for each member of a cascade; one for a network alone."""
    return [Ladder(wiring, subject.threat, rungs, bounds) for wiring in subject.members]


def _taken(rungs: list[str], bounds: dict[str, Any]) -> dict[str, Any]:
    """The settings that decide what the rungs find; memory does not."""
    options = {option for rung in rungs for option in catalogue.find("bound", rung).options}
    return {
        f"bound_{name}": bounds[name] for name in sorted(options - {"memory"}) if name in bounds
    }


def _certificates(
    subject: Subject, ladders: list[Ladder], eps: float, rows: np.ndarray, examples: list[Row]
) -> list[Row]:
    findings = climb(ladders, subject.test.images(rows), subject.test.labels[rows], eps)
    return [certificate(e, f) for e, f in zip(examples, findings, strict=True)]


def _rungs_before(subject: Subject, eps: float) -> list[str]:
    """The rungs of the certificates there are of this network at a radius."""
    path = subject.run.records / question_name(subject.threat.name, eps) / "certify.jsonl"
    header = read(path)[0] if path.exists() else {}
    if header.get("network_sha256") != subject.checksum:
        return []
    return header.get("settings", {}).get("rungs", [])


def _is_certified(row: Row) -> bool:
    return row["verdict"] == "certified"
