"""The verdict on an example by the findings of its rungs."""

import pytest

from rt_tf.certification.ladder import Finding
from rt_tf.records.consistency import check_certificate
from rt_tf.records.verdict import example_verdict

INF = float("inf")
RIGHT = {"index": 3, "image": "ab", "label": 1, "prediction": 1}
CERTIFIED, LOOSE, LOST = Finding(0.5, 1.0), Finding(-0.1, 1.0), Finding(-INF, 1.0)
EXHAUSTED = Finding(-INF, 1.0, "memory")
LATE = Finding(-INF, 1.0, "time")
LIKELY = Finding(0.7, 1.0, probable=True)  # no certificate, and no proved margin


@pytest.mark.parametrize(
    ("findings", "verdict", "cause", "margin"),
    [
        ([LOOSE, CERTIFIED], "certified", None, 0.5),
        ([EXHAUSTED, CERTIFIED], "certified", None, 0.5),
        ([LOOSE, LOOSE], "unknown", "loose", -0.1),
        ([LOOSE, LOST], "unknown", "loose", -0.1),
        ([LOST, Finding(float("nan"), 1.0)], "unknown", "error", None),
        ([LOOSE, EXHAUSTED], "unknown", "memory", -0.1),
        ([EXHAUSTED, LOOSE], "unknown", "memory", -0.1),
        ([EXHAUSTED], "unknown", "memory", None),
        ([LATE, EXHAUSTED], "unknown", "time", None),
        ([LOOSE, LIKELY], "unknown", "loose", -0.1),
        ([LIKELY, CERTIFIED], "certified", None, 0.5),
        ([LIKELY], "unknown", "loose", None),
    ],
)
def test_verdict_and_cause(findings, verdict, cause, margin) -> None:
    row = example_verdict(RIGHT, {f"rung{i}": finding for i, finding in enumerate(findings)})
    assert (row["verdict"], row["cause"], row["margin"]) == (verdict, cause, margin)
    assert row["seconds"] == len(findings)
    assert [rung.get("cause") for rung in row["rungs"].values()] == [f.cause for f in findings]
    check_certificate(row, "here")


def test_the_misclassified_are_falsified_whatever_is_bounded() -> None:
    row = example_verdict({**RIGHT, "prediction": 2}, {"interval": CERTIFIED})
    assert (row["verdict"], row["cause"], row["rung"]) == ("falsified", "misclassified", None)
