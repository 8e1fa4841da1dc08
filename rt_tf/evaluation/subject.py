"""The subject of an evaluation: a network, traced and as it is served, and examples for it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import tensorflow as tf

from rt_tf.attacks.gradient.refutation import Refutation
from rt_tf.attacks.losses import Loss, cross_entropy
from rt_tf.attacks.task import Network, Task
from rt_tf.evaluation.method import Engine
from rt_tf.network.ops import Tensor
from rt_tf.network.wiring import Wiring
from rt_tf.records.parts import Part, places_of
from rt_tf.records.record_file import Row
from rt_tf.threats.region import Region, Threat

ABSTAINS = -1


class Examples(Protocol):
    """Examples with labels, in an order that stays: `data.Split`, or `data.ArrayExamples`."""

    @property
    def name(self) -> str:
        """The name of the split in records, such as `test`."""

    @property
    def labels(self) -> np.ndarray:
        """The examples' classes: int64 [n]."""

    @property
    def index(self) -> np.ndarray:
        """The examples' numbers in records: int64 [n]."""

    @property
    def checksum(self) -> str:
        """SHA-256 of all images and labels."""

    def __len__(self) -> int: ...

    def images(self, ids: Any) -> np.ndarray:
        """Some of the examples as the network reads them: float32 [ids, ...]."""

    def hashes(self, ids: Any) -> list[str]:
        """A checksum of each of some examples, by which records name its image."""


class Subject(NamedTuple):
    """A network under a threat, its test examples, and the folder of the records of them.

    members: those of a cascade, or the one network. served: has the endpoints `serve` and
    `certify` of `rt_tf.serving.endpoints`. own_threat: the name of the threat that a cascade's
    answers are certified for. checksum: of the network. engine: other processes that answer the
    examples; None where this one does. part: this process's share of the examples, (k, n) for
    every n-th from the k-th on; None for all.
    """

    members: tuple[Wiring, ...]
    served: Any
    test: Examples
    threat: Threat
    own_threat: str
    checksum: str
    records: Path
    engine: Engine | None = None
    part: Part | None = None

    @property
    def wiring(self) -> Wiring:
        """The network that gives the answers: of a cascade, the first member."""
        return self.members[0]

    @property
    def is_cascade(self) -> bool:
        return len(self.members) > 1

    def network(self) -> Network:
        """The graph that attacks climb; of a cascade the first member's, which gives its label."""
        return self.wiring.lower()

    def task(
        self, region: Region, labels: Tensor, keys: Tensor, loss: Loss = cross_entropy
    ) -> Task:
        """The task of attacks: to find errors; of a cascade, errors that a member certifies.

        labels, keys: [batch].
        """
        if not self.is_cascade:
            return Task(self.network(), region, labels, keys, loss)
        members = tuple(member.lower() for member in self.members)
        return Refutation(members[0], region, labels, keys, loss, members=members)

    def count(self, samples: int) -> int:
        """The number of examples, of all parts. samples: first ones of the test split; 0: all."""
        return min(samples or len(self.test), len(self.test))

    def first(self, samples: int) -> Sequence[int]:
        """The places of this process's part of the first examples of the test split.

        samples: their number; 0: all. UserError for a part without any.
        """
        return places_of(self.part, range(self.count(samples)))

    def examples(self, places: np.ndarray) -> list[Row]:
        """The first fields of the records of the examples at places [n].

        Predictions are the served network's.
        """
        test = self.test
        columns = zip(
            test.index[places].tolist(),
            test.hashes(places),
            test.labels[places].tolist(),
            self.labels(test.images(places)).tolist(),
            strict=True,
        )
        names = ("index", "image", "label", "prediction")
        return [dict(zip(names, values, strict=True)) for values in columns]

    def labels(self, images: Any) -> np.ndarray:
        """The classes that the served network gives images [batch, ...]: [batch]."""
        labels: np.ndarray = self.served.serve(images)["label"].numpy()
        return labels

    def upheld_labels(self, images: Any, eps: float) -> np.ndarray:
        """The classes that the served network stands by; ABSTAINS where a cascade does: [batch].

        images: [batch, ...]; eps: the radius at which a cascade certifies its answers.
        """
        labels = self.labels(images)
        if not self.is_cascade:
            return labels
        certified = self.served.certify(images, tf.constant(eps, tf.float32))["certified"]
        return np.where(certified.numpy(), labels, ABSTAINS)
