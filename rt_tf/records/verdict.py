"""The verdict on one example: the one place where it is decided, by certificates and attacks."""

from typing import NamedTuple

import numpy as np

from rt_tf.certification.ladder import Finding, Findings
from rt_tf.records.record_file import Row

VERDICTS = ("certified", "falsified", "unknown")


class Counterexample(NamedTuple):
    """A stored input of the region that the served network answers wrongly."""

    rung: str
    file: str
    sha256: str
    distance: float
    prediction: int


def decide(
    is_right: bool, certified: bool, falsified: bool, cause: str | None
) -> tuple[str, str | None]:
    """The verdict on an example, and its cause: nowhere else is one decided.

    is_right: whether the network gives the example's own label. certified: whether a proof was
    found; falsified: whether a counterexample was, to which the served network gives another
    answer, and which consistency lets no certificate stand beside. cause: why an example is left
    unknown. An example that is misclassified is its own counterexample.
    """
    if not is_right:
        return "falsified", "misclassified"
    if certified:
        return "certified", None
    return ("falsified", "attack") if falsified else ("unknown", cause)


def example_verdict(
    example: Row,
    findings: Findings,
    counterexample: Counterexample | None = None,
    proof: str | None = None,
) -> Row:
    """The record of an example's verdict by what each rung found.

    counterexample: where one was found and stored. proof: the file of what was proved.
    """
    rungs = {name: _rung(finding) for name, finding in findings.items()}
    by = next((name for name, finding in findings.items() if finding.certified), None)
    is_right = example["prediction"] == example["label"]
    verdict, cause = decide(is_right, by is not None, counterexample is not None, _cause(findings))
    if verdict == "falsified" and counterexample:
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


def attack_counts(example: Row, succeeded: bool, prediction: int | None) -> bool:
    """Whether an attack's point is a counterexample: the network is right, and gives it up there.

    succeeded: by the traced network. prediction: the class that the served network stands by at the
    point; None where it abstains.
    """
    is_right: bool = example["prediction"] == example["label"]
    return is_right and succeeded and prediction is not None and prediction != example["label"]


def _margin(findings: Findings) -> float | None:
    """The best bound that is proved."""
    bounds = [f.margin for f in findings.values() if not (f.probable or f.trusted or f.falsified)]
    return max((float(margin) for margin in bounds if np.isfinite(margin)), default=None)


def _rung(finding: Finding) -> Row:
    only_searched = finding.point is not None and not np.isfinite(finding.margin)
    return {
        "verdict": _rung_verdict(finding),
        "margin": finding.margin if np.isfinite(finding.margin) else None,
        "seconds": finding.seconds,
        "cause": finding.cause or ("loose" if only_searched else None),
    }


def _rung_verdict(finding: Finding) -> str:
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
