"""Complete rungs against each other: settled images a minute, and whether they agree.

    python -m benchmarks.certification --model_dir=runs/mnist/goal_01 --epsilon=0.1 \
        --data_dir=<your TFDS folder> [--samples=1000] [--hard=30] [--time_limit=30]

The first test images that a run's network gets right are certified by CROWN; of those that it
leaves open, the first --hard are tried by every rung alone, without a start. A rung settles an
image by a proof, a solver's word or a counterexample. Exits with 1 if any two contradict each
other, that is if one certifies an image to which another one has a counterexample. Stores the
figures in benchmarks/results/certification.json, by run and radius.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import rt_tf.models  # noqa: F401 - tells Keras of this library's layers
from benchmarks.timing import surroundings
from rt_tf import data
from rt_tf.certification.ladder import Ladder, build_rung
from rt_tf.certification.rung import Finding, Findings, Query
from rt_tf.exactly import radius_text
from rt_tf.files import write_text
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring
from rt_tf.threats.linf import Linf

RESULT = Path(__file__).parent / "results" / "certification.json"
RUNGS = ("attack", "alpha_crown", "branch_and_bound", "lp", "milp_last", "milp_conv", "milp")
CHUNK = 100


class Hard(NamedTuple):
    """Images that CROWN leaves open.

    samples: images tried; right: of these, those that the network gets right; left: of these, those
    that CROWN leaves open. query: of the first of them.
    """

    query: Query
    samples: int
    right: int
    left: int


def hard(wiring: Wiring, split: data.Split, eps: float, samples: int, most: int) -> Hard:
    """The images that CROWN leaves open of the first `samples` (0: all), `most` of them at most."""
    samples = min(samples or len(split), len(split))
    ladder, graph = Ladder(wiring, Linf(), ["interval", "crown_ibp", "crown"]), wiring.lower()
    right, left = 0, []
    for begin in range(0, samples, CHUNK):
        rows = np.arange(begin, min(begin + CHUNK, samples))
        images, labels = split.images(rows), split.labels[rows]
        is_right = graph(tf.constant(images)).numpy().argmax(axis=1) == labels
        right += int(is_right.sum())
        findings = ladder.climb(images[is_right], labels[is_right], eps)
        left += [rows[is_right][k] for k, by_rung in findings if not _is_settled(by_rung)]
    rows = np.array(sorted(left)[:most])
    query = Query(split.images(rows), split.labels[rows], eps, [None] * len(rows))
    return Hard(query, samples, right, len(left))


def _is_settled(findings: Findings) -> bool:
    return any(finding.settled for finding in findings.values())


def timed(wiring: Wiring, name: str, query: Query, limit: float) -> tuple[list[Finding], float]:
    """The findings of a rung, and the seconds that it takes without compilation."""
    rung = build_rung(name, wiring, Linf(), {"time_limit": limit})
    one = Query(query.images[:1], query.labels[:1], query.eps, query.points[:1])
    list(rung(one))
    began = time.perf_counter()
    return list(rung(query)), time.perf_counter() - began


def row_of(findings: Sequence[Finding], seconds: float) -> dict[str, Any]:
    """The figures of a rung in the results: its counts, seconds and settled images a minute."""
    counts = {
        "certified": sum(f.certified for f in findings),
        "trusted": sum(f.trusted and f.margin > 0.0 for f in findings),
        "falsified": sum(f.falsified for f in findings),
    }
    settled = sum(counts.values())
    return {**counts, "seconds": seconds, "settled_per_minute": 60.0 * settled / seconds}


def contradictions(findings: dict[str, list[Finding]]) -> list[int]:
    """The places of images that one rung certifies and another one falsifies.

    findings: by rung, of the same images.
    """
    return [
        k
        for k, by_rung in enumerate(zip(*findings.values(), strict=True))
        if any(f.margin > 0.0 and not f.probable for f in by_rung)
        and any(f.falsified for f in by_rung)
    ]


def show(title: str, rows: dict[str, dict[str, Any]], screen: Console) -> None:
    """Prints the table of the rungs' figures."""
    heads = ("rung", "certified", "trusted", "falsified", "seconds", "settled a minute")
    table = Table(*heads, title=title)
    for name, row in rows.items():
        numbers = (f"{row['seconds']:.1f}", f"{row['settled_per_minute']:.1f}")
        table.add_row(name, *(str(row[k]) for k in heads[1:4]), *numbers)
    screen.print(table)


def keep(name: str, eps: float, figures: dict[str, Any]) -> None:
    """Adds a run's figures at a radius to the file of results."""
    by_run = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    by_run[f"{name} eps {radius_text(eps)}"] = figures
    write_text(RESULT, json.dumps(by_run, indent=1) + "\n")


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model_dir", type=Path, required=True)
    parser.add_argument("--epsilon", type=float, required=True)
    parser.add_argument("--data_dir")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--hard", type=int, default=30)
    parser.add_argument("--time_limit", type=float, default=30.0)
    parser.add_argument("--rungs", default=",".join(RUNGS))
    values = parser.parse_args()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    facts = json.loads((values.model_dir / "run.json").read_text())
    dataset = data.load(facts["dataset"]["name"], data_dir=values.data_dir)
    network = keras.models.load_model(values.model_dir / "best" / "network.keras")
    wiring = trace(network)
    hardest = hard(wiring, dataset.test, values.epsilon, values.samples, values.hard)
    findings, rows = {}, {}
    for name in values.rungs.split(","):
        findings[name], seconds = timed(wiring, name, hardest.query, values.time_limit)
        rows[name] = row_of(findings[name], seconds)
    count = len(hardest.query.labels)
    system, radius = facts["system"], radius_text(values.epsilon)
    images = f"{count} of the {hardest.left} that CROWN leaves open of {hardest.right} right"
    show(f"{system} at linf {radius}: {images}", rows, Console())
    wrong = contradictions(findings)
    about = {"samples": hardest.samples, "right": hardest.right}
    about |= {"open": hardest.left, "asked": count}
    about |= {"time_limit": values.time_limit, "contradictions": len(wrong)}
    keep(facts["system"], values.epsilon, {**surroundings(), **about, "rungs": rows})
    raise SystemExit(f"contradictions at places {wrong}" if wrong else 0)


if __name__ == "__main__":
    main()
