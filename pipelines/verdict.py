"""The verdict on one example, as its record has it."""

from typing import Any

import numpy as np

from rt_tf.certify.ladder import Finding, Findings

Row = dict[str, Any]


def certificate(example: Row, findings: Findings) -> Row:
    """The verdict on one example by what each rung found. A misclassified one is falsified."""
    rungs = {name: _rung(finding) for name, finding in findings.items()}
    margins = [
        row["margin"]
        for name, row in rungs.items()
        if row["margin"] is not None and not findings[name].probable
    ]
    name, last = list(rungs.items())[-1] if rungs else (None, {"verdict": "unknown"})
    verdict, cause = "certified" if last["verdict"] == "certified" else "unknown", None
    if example["prediction"] != example["label"]:
        verdict, cause = "falsified", "misclassified"
    elif verdict == "unknown":
        cause = _cause(findings)
    return {
        **example,
        "verdict": verdict,
        "rung": name if verdict == "certified" else None,
        "margin": max(margins, default=None),
        "rungs": rungs,
        "cause": cause,
        "seconds": sum(finding.seconds for finding in findings.values()),
    }


def _rung(finding: Finding) -> Row:
    likely = "probable" if finding.probable and finding.margin > 0.0 else "unknown"
    row = {
        "verdict": "certified" if finding.certified else likely,
        "margin": finding.margin if np.isfinite(finding.margin) else None,
        "seconds": finding.seconds,
    }
    return row | ({"cause": finding.cause} if finding.cause else {})


def _cause(findings: Findings) -> str:
    """Why an example is unknown: what stopped a rung, since with more of it that might decide."""
    stopped = [finding.cause for finding in findings.values() if finding.cause]
    bounded = any(np.isfinite(finding.margin) for finding in findings.values())
    return stopped[-1] if stopped else "loose" if bounded else "error"
