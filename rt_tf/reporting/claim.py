"""The claim of a report: what is proved about a run's network, in words, and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rt_tf.domain import UNIT, Domain, Given
from rt_tf.exactly import exactly, radius_text
from rt_tf.records.merge import Question
from rt_tf.records.record_file import Row
from rt_tf.reporting import statistics

THREATS = {
    "linf": "every {value} may change by at most {eps}",
    "l2": "the change of the {example} has Euclidean norm at most {eps}",
    "l1": "the absolute changes of all {value}s add up to at most {eps}",
    "union": "the change lies in one of these balls: {parts}",
    "wasserstein": "moving pixel mass at a total cost of at most {eps} "
    "(share of the image's mass times pixels moved)",
}


class Nouns(NamedTuple):
    """The words for an example and a value of it, and for changes that no threat here covers."""

    example: str
    value: str
    others: str

    @classmethod
    def of(cls, dataset: Row) -> Nouns:
        """The words for the examples of a run's data set."""
        return ROWS if len(dataset["shape"]) == 1 else IMAGES


IMAGES = Nouns(
    "image", "pixel", "rotations, corruptions, or changes made before the image was digitised"
)
ROWS = Nouns("row", "column", "changes of other columns than those that the network reads")


def claim(main: Question, run: Row) -> Row:
    """The claim at a run's main question: {"sentence", "threat", "limits"}."""
    accuracies, nouns = statistics.accuracies(main.rows), Nouns.of(run["dataset"])
    settings = next(iter(main.headers.values())).get("threat_settings", {})
    pixel_max, domain = run["dataset"].get("pixel_max"), domain_of(run)
    threat = words(main.threat, main.eps, pixel_max, settings.get("radii", ()), domain, nouns)
    return {
        "sentence": _sentence(accuracies["certified"], threat, nouns),
        "threat": threat,
        "limits": _limits(main, run, nouns),
    }


def domain_of(run: Row) -> Domain:
    """The domain of a run's inputs; [0, 1] where the run notes none."""
    config = run["dataset"].get("domain")
    return UNIT if config in (None, UNIT.config()) else Domain.from_config(config)


def words(
    threat: str,
    eps: float,
    pixel_max: int | None = None,
    radii: Sequence[float] = (),
    domain: Given = UNIT,
    nouns: Nouns = IMAGES,
) -> str:
    """A threat and its radius in words; for pixels of integer levels, also in grey levels.

    radii: of a union's Linf, L2 and L1 balls, which eps multiplies. domain: of the inputs. nouns:
    of the examples.
    """
    domain = Domain.of(domain)
    text = THREATS.get(threat, "a change within {eps} of the threat '" + threat + "'")
    levels = pixel_max / domain.width if pixel_max else 0.0
    grey = f" ({_levels(eps * levels, pixel_max)})" if pixel_max and threat == "linf" else ""
    balls = zip(("Linf", "L2", "L1"), radii, strict=False)
    parts = ", ".join(
        f"{ball} of radius {radius_text(eps * factor)}" for ball, factor in balls if factor
    )
    text = text.format(eps=radius_text(eps), parts=parts, **nouns._asdict())
    return f"{text}{grey}, {nouns.value}s staying in {domain}"


def _levels(levels: float, pixel_max: int) -> str:
    """A radius in grey levels: `8 of 255 grey levels`, `about 25.5 of ...` where rounded."""
    count = exactly(levels) if levels == round(levels, 2) else f"about {levels:.3g}"
    return f"{count} of {pixel_max} grey levels"


def _sentence(certified: Row | None, threat: str, nouns: Nouns) -> str:
    if certified is None:
        return "Nothing is certified: no ladder was run."
    return (
        f"For {certified['count']:,} of {certified['n']:,} test {nouns.example}s it is proved that "
        f"the network gives the right class to the {nouns.example} and to every {nouns.example} "
        f"reachable from it when {threat}."
    )


def _limits(main: Question, run: Row, nouns: Nouns) -> list[str]:
    network = run["network_sha256"][:12]
    split = next(iter(main.headers.values()))["split"]
    return [
        f"A certificate covers the exported float32 network (SHA-256 {network}…) in any order of "
        "summation, with or without fused multiply-add and denormals: the bounds carry a stated "
        "model of rounding errors. It does not cover other precisions, convolutions that transform "
        "their input (Winograd, FFT), TF32 or changed weights.",
        f"It covers this threat and radius only: not other norms, larger radii, {nouns.others}.",
        f"It is a statement about the listed {nouns.example}s of the {split} split. The intervals "
        f"say what to expect of further {nouns.example}s from the same source; nothing is said "
        "about other sources.",
        "Attacked accuracy is an upper limit set by the attacks listed; a stronger attack may "
        "lower it, never below certified accuracy. Between the two, the answer is not known.",
        "The proofs are computed by rt_tf's bound code, which is tested, not formally verified. "
        "rt-tf check (python -m pipelines.check) recomputes those of the layers and threats that "
        "docs/proofs.md has by another program, in NumPy alone; it lists the others as unchecked.",
    ]
