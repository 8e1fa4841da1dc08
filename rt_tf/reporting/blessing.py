"""The verdict whether an exported network is proved well enough to be served.

TFX's Evaluator writes such verdicts, too: one of two files, BLESSED or NOT_BLESSED, here in the
SavedModel's own directory. A service that watches it reads the verdict where it finds the model,
and a new export begins without one. The file has the question and its result, in lines `name:
value`.
"""

from pathlib import Path
from typing import NamedTuple

from rt_tf.exactly import radius_text
from rt_tf.files import write_text
from rt_tf.records.record_file import Row
from rt_tf.reporting.formats import percent
from rt_tf.serving.saved_model import BLESSED, NOT_BLESSED


class Blessing(NamedTuple):
    """A question's certified accuracy against a bar.

    question: of the report's schema, with a certificate; its accuracy is of all its examples,
    misclassified ones too. bar: the least accuracy that is blessed. network: the checksum.
    """

    question: Row
    bar: float
    network: str

    @property
    def is_blessed(self) -> bool:
        return bool(self.question["certified"]["rate"] >= self.bar)

    @property
    def name(self) -> str:
        return BLESSED if self.is_blessed else NOT_BLESSED

    def line(self) -> str:
        """The verdict in words."""
        rate, question = self.question["certified"], self.question
        beside = "at or above" if self.is_blessed else "below"
        return (
            f"{self.name}: {rate['count']} of {rate['n']} images verified at "
            f"{question['threat']} {radius_text(question['epsilon'])}, {percent(rate)}, "
            f"{beside} the bar of {100 * self.bar:.15g} %"
        )

    def text(self) -> str:
        """The content of the verdict's file."""
        rate = self.question["certified"]
        facts = {
            "verified_accuracy": rate["rate"],
            "interval_95": f"{rate['low']} {rate['high']}",
            "certified": rate["count"],
            "images": rate["n"],
            "indices": self.question["certificate"]["sample"]["indices"],
            "min_verified_accuracy": self.bar,
            "threat": self.question["threat"],
            "epsilon": self.question["epsilon"],
            "network_sha256": self.network,
        }
        return "".join(f"{name}: {value}\n" for name, value in facts.items())


def write(path: Path, verdict: Blessing) -> Path:
    """Puts the verdict into a SavedModel's directory; at no time are both files there."""
    other = {BLESSED: NOT_BLESSED, NOT_BLESSED: BLESSED}[verdict.name]
    (path / other).unlink(missing_ok=True)
    return write_text(path / verdict.name, verdict.text())
