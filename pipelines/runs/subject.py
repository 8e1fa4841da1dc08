"""Answering questions (a threat and a radius) about a finished run, example by example.

Records are appended chunk by chunk, so that a killed command goes on where it stopped.
"""

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from rich.console import Console

from pipelines.runs import restoring
from pipelines.console import flag, progress
from pipelines.runs.directory import RunDirectory
from rt_tf import data, models
from rt_tf.attacks.gradient.refutation import Refutation
from rt_tf.attacks.losses import Loss, cross_entropy
from rt_tf.attacks.task import Network, Task
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor
from rt_tf.network.trace import trace
from rt_tf.network.wiring import Wiring
from rt_tf.records import parts
from rt_tf.records.merge import RecordFile, question_name
from rt_tf.records.verdict import Row
from rt_tf.serving import saved_model
from rt_tf.threats.region import Region, Threat

CHUNK = 100
KEEP_EVERY = 0.5  # seconds, at most, that an answer waits to be written
ABSTAINS = -1
Radii = Sequence[tuple[float, int]]  # (eps, first examples of the test split; 0: all)


class LoadedRun(NamedTuple):
    """What is asked about: a run's network, traced and as served, and its test split.

    members: those of a cascade, or the one network.
    """

    run: RunDirectory
    members: tuple[Wiring, ...]
    served: Any
    test: data.Split
    threat: Threat
    checksum: str

    @property
    def wiring(self) -> Wiring:
        """The network that gives the answers; a cascade's first member."""
        return self.members[0]

    @property
    def is_cascade(self) -> bool:
        return len(self.members) > 1

    def network(self) -> Network:
        """What attacks climb. A cascade answers its first member's label, or abstains."""
        return self.wiring.lower()

    def task(
        self, region: Region, labels: Tensor, keys: Tensor, loss: Loss = cross_entropy
    ) -> Task:
        """What attacks are asked: errors, which of a cascade are those that it stands by."""
        if not self.is_cascade:
            return Task(self.network(), region, labels, keys, loss)
        members = tuple(member.lower() for member in self.members)
        return Refutation(members[0], region, labels, keys, loss, members=members)


def load_run(run: RunDirectory, dataset: data.DataSet, threat: Threat) -> LoadedRun:
    """Loads a run's network; UserError if it is not there yet or cannot be read."""
    network = load_network(run)
    checksum = saved_model.network_checksum(network)
    if saved_model.exported_checksum(run.export) != checksum:
        raise UserError(
            f"model_dir: expected {run.export} to hold this run's network; it does not; "
            f"python -m pipelines.export {flag('model_dir', run.path)} writes it"
        )
    served = saved_model.load(run.export)
    members = tuple(trace(member, domain=dataset.domain) for member in models.members(network))
    return LoadedRun(run, members, served, dataset.test, threat, checksum)


def load_network(run: RunDirectory) -> keras.Model:
    """The run's selected network; UserError if it cannot be read, nor made again."""
    return restoring.network(run)


def record_missing(
    subject: LoadedRun,
    records: RecordFile,
    asked: Sequence[int],
    answer: Callable[[np.ndarray, list[Row]], Iterable[Row]],
    title: str,
    status: Callable[[list[Row]], str],
    screen: Console,
    begun: Callable[[Row], Row] | None = None,
) -> None:
    """Answers what is not yet recorded of the places in the test split that are asked about.

    Answers are written as they come, or half a second later. begun: what is on record of an example
    until then; for answers that come in another order than their examples, where those that are
    there, when the command is killed, would else be the easy ones.
    """
    if records.superseded:
        screen.print(f"{records.path} was of other settings: kept as {records.superseded.name}")
    left = [i for i in asked if i not in records.done]
    with progress(screen) as bar:
        task = bar.add_task(title, total=len(asked), completed=len(asked) - len(left), status="")
        for begin in range(0, len(left), CHUNK):
            rows = np.array(left[begin : begin + CHUNK])
            told = examples(subject, rows)
            if begun is not None:
                records.begin(map(begun, told))
            for found in _bundled(answer(rows, told)):
                records.append(found)
                bar.update(task, advance=len(found), status=status(records.answered))


def first(subject: LoadedRun, samples: int) -> range:
    """Places of the first examples of the test split; 0: all."""
    return range(min(samples or len(subject.test), len(subject.test)))


def paced(before: int, told: Callable[[list[Row]], str]) -> Callable[[list[Row]], str]:
    """A status with how many images a second there were since now, when there were `before`."""
    began = time.monotonic()

    def status(rows: list[Row]) -> str:
        pace = (len(rows) - before) / max(time.monotonic() - began, 1e-3)
        return f"{told(rows)}; {pace:.3g} images/s"

    return status


def _bundled(answers: Iterable[Row]) -> Iterator[list[Row]]:
    """What comes within half a second together; the rest of it, too, if there is an interrupt."""
    waiting: list[Row] = []
    began = time.monotonic()
    try:
        for row in answers:
            waiting.append(row)
            if time.monotonic() - began > KEEP_EVERY:
                found, waiting = waiting, []
                yield found
                began = time.monotonic()
    finally:
        if waiting:
            yield waiting


def record_file(
    subject: LoadedRun,
    eps: float,
    kind: str,
    name: str,
    settings: Row,
    part: str = "",
    again: Callable[[Row], bool] = lambda row: False,
    carried: Callable[[Row, Row], Row | None] = lambda header, row: None,
) -> RecordFile:
    """Where the answers of a method to a question are kept; those there are, are taken up.

    part: of several processes that share a certificate's examples, which one this is, `1of4`.
    again, carried: as in `RecordFile`.
    """
    folder = subject.run.records / question_name(subject.threat.name, eps)
    header = {**headed(subject, kind, name, settings), "eps": eps}
    if kind != "certify":
        return RecordFile(folder / f"attack-{name}.jsonl", header)
    whole = folder / "certify.jsonl"
    path = folder / f"certify-{part}.jsonl" if part else whole
    others = [other for other in sorted(folder.glob("certify-*.jsonl")) if other != path]
    if not part:
        parts.joined(whole, header, others)
    done = parts.elsewhere(header, others, whole, again) if part else set()
    records = RecordFile(path, header, again, carried)
    records.done |= done
    return records


def headed(subject: LoadedRun, kind: str, name: str, settings: Row) -> Row:
    """What the header of any record file says: what is asked, of which network, by what method."""
    return {
        "kind": kind,
        "id": name,
        "threat": subject.threat.name,
        **_made(subject.threat),
        "split": subject.test.name,
        "domain": subject.wiring.domain.config(),
        "network_sha256": subject.checksum,
        "settings": settings,
    }


def _made(threat: Threat) -> Row:
    """What a threat is made with, such as a union's radii, if it is with anything."""
    made: Row = dataclasses.asdict(threat) if dataclasses.is_dataclass(threat) else {}
    settings = {name: value for name, value in made.items() if value is not None}
    return {"threat_settings": settings} if settings else {}


def examples(subject: LoadedRun, rows: np.ndarray) -> list[Row]:
    """What every record says of its example; the prediction is the served network's."""
    predictions = served_labels(subject, subject.test.images(rows))
    columns = zip(
        subject.test.index[rows].tolist(),
        subject.test.hashes(rows),
        subject.test.labels[rows].tolist(),
        predictions.tolist(),
        strict=True,
    )
    return [
        dict(zip(("index", "image", "label", "prediction"), row, strict=True)) for row in columns
    ]


def served_labels(subject: LoadedRun, images: Any) -> np.ndarray:
    """The exported network's classes: [batch]."""
    return subject.served.serve(images)["label"].numpy()


def answered_labels(subject: LoadedRun, images: Any, eps: float) -> np.ndarray:
    """Those that the exported network stands by: where a cascade abstains, ABSTAINS. [batch]."""
    labels = served_labels(subject, images)
    if not subject.is_cascade:
        return labels
    certified = subject.served.certify(images, tf.constant(eps, tf.float32))["certified"]
    return np.where(certified.numpy(), labels, ABSTAINS)
