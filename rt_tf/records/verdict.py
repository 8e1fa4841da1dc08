"""The verdict on an example, decided here alone, from certificates and attacks.

Reports infer one more from it: an example certified in a larger ball is certified in a smaller one
(`rt_tf.reporting.inference`).
"""

from typing import NamedTuple

import numpy as np

from rt_tf.certification.ladder import Finding, Findings
from rt_tf.records.consistency import require
from rt_tf.records.record_file import Row


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
    """The verdict on an example, and its cause.

    is_right: whether the network gives the example's label. certified: whether there is a proof.
    falsified: whether there is a counterexample, an input of the region to which the served network
    gives another answer; `consistency` refuses records that have a proof as well. cause: why an
    example is left unknown. A misclassified example is its own counterexample.
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
    """The record of an example's verdict by the findings of its rungs.

    example: the record's first fields. counterexample: the stored one, if any. proof: the name of
    the certificate's stored file, if any.
    """
    rungs = {name: _rung(finding) for name, finding in findings.items()}
    by = next((name for name, finding in findings.items() if finding.certified), None)
    require(
        by is None or counterexample is None,
        f"example {example['index']}: certified by {by}, and with a counterexample",
    )
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
    """Whether an attack's point is a counterexample: the network is right, and errs at the point.

    succeeded: by the traced network. prediction: the class that the served network stands by at the
    point; None where it abstains.
    """
    is_right: bool = example["prediction"] == example["label"]
    return is_right and succeeded and prediction is not None and prediction != example["label"]


def _margin(findings: Findings) -> float | None:
    """The largest proved lower bound of the margin; None if there is none."""
    bounds = [f.margin for f in findings.values() if not (f.probable or f.trusted or f.falsified)]
    return max((float(margin) for margin in bounds if np.isfinite(margin)), default=None)


def _rung(finding: Finding) -> Row:
    only_searched = finding.point is not None and not np.isfinite(finding.margin)
    return {
        "verdict": _rung_verdict(finding),
        "margin": finding.margin if np.isfinite(finding.margin) else None,
        "seconds": finding.seconds,
        "cause": finding.cause or ("loose" if only_searched else None),
        **({"layer": finding.layer} if finding.layer else {}),
    }


def _rung_verdict(finding: Finding) -> str:
    if finding.certified or not finding.margin > 0.0:
        return "certified" if finding.certified else "unknown"
    return "probable" if finding.probable else "trusted"


def _cause(findings: Findings) -> str:
    """The cause of an unknown verdict: what stopped a rung, else loose bounds, else an error."""
    stopped = [finding.cause for finding in findings.values() if finding.cause]
    bounds = [np.isfinite(finding.margin) for finding in findings.values() if finding.point is None]
    loose = any(bounds) or (findings and not bounds)  # an attack alone bounds nothing
    by_weight = [cause for cause in ("time", "incomplete", "memory", "error") if cause in stopped]
    if by_weight:
        return by_weight[0]
    return (
        "infinite" if "infinite" in stopped and not any(bounds) else "loose" if loose else "error"
    )
