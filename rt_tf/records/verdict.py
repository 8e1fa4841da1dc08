"""The verdict on one example, as its record has it."""

from typing import Any, NamedTuple

import numpy as np

from rt_tf.certification.ladder import Finding, Findings

Row = dict[str, Any]


class Counterexample(NamedTuple):
    """A stored input of the region that the served network answers wrongly."""

    rung: str
    file: str
    sha256: str
    distance: float
    prediction: int


def certificate(
    example: Row,
    findings: Findings,
    counterexample: Counterexample | None = None,
    proof: str | None = None,
) -> Row:
    """The verdict on one example by what each rung found. A misclassified one is falsified.

    counterexample: where one was found and stored. proof: the file of what was proved.
    """
    rungs = {name: _rung(finding) for name, finding in findings.items()}
    by = next((name for name, finding in findings.items() if finding.certified), None)
    verdict, cause = ("certified", None) if by else ("unknown", _cause(findings))
    if example["prediction"] != example["label"]:
        verdict, cause = "falsified", "misclassified"
    elif counterexample:
        verdict, cause = "falsified", "attack"
        rungs[counterexample.rung] |= {"verdict": "falsified", "cause": None}
    return {
        **example,
        "verdict": verdict,
        "rung": by if verdict == "certified" else None,
        "margin": _margin(findings),
        "rungs": rungs,
        "cause": cause,
        "seconds": sum(finding.seconds for finding in findings.values()),
        "counterexample": counterexample and counterexample._asdict(),
        "proof": proof,
    }


def _margin(findings: Findings) -> float | None:
    """The best bound that is proved."""
    bounds = [f.margin for f in findings.values() if not (f.probable or f.trusted or f.falsified)]
    return max((float(margin) for margin in bounds if np.isfinite(margin)), default=None)


def _rung(finding: Finding) -> Row:
    only_searched = finding.point is not None and not np.isfinite(finding.margin)
    return {
        "verdict": _told(finding),
        "margin": finding.margin if np.isfinite(finding.margin) else None,
        "seconds": finding.seconds,
        "cause": finding.cause or ("loose" if only_searched else None),
    }


def _told(finding: Finding) -> str:
    if finding.certified or not finding.margin > 0.0:
        return "certified" if finding.certified else "unknown"
    return "probable" if finding.probable else "trusted"


def _cause(findings: Findings) -> str:
    """Why an example is unknown: what stopped a rung, since with more of it that might decide."""
    stopped = [finding.cause for finding in findings.values() if finding.cause]
    bounds = [np.isfinite(finding.margin) for finding in findings.values() if finding.point is None]
    loose = any(bounds) or (findings and not bounds)  # an attack alone bounds nothing
    if stopped:
        return "time" if "time" in stopped else stopped[-1]
    return "loose" if loose else "error"
