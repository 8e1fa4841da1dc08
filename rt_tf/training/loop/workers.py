"""The processes that train one network together, and what they agree on.

Each has replicas of its own. They take the same steps, so that all of them have the same position.
The chief alone writes, evaluates and decides by its clock; the others hear of its decisions. A
method of `Workers` is called by all of them at the same point of their course, and waits for all.
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from rt_tf import data, replicas
from rt_tf.errors import UserError


class Workers:
    """The processes of a strategy; a single one, which is the chief, without several."""

    def __init__(self, strategy: replicas.Strategy) -> None:
        self.strategy = strategy
        resolver = strategy.cluster_resolver
        self.several = resolver is not None
        self.number = _number(resolver) if self.several else 0
        self.chief = self.number == 0
        self._total = tf.function(self._total_of, autograph=False, reduce_retracing=True)

    @property
    def replicas(self) -> data.Replicas:
        """The replicas of this process, which read their own rows of a batch."""
        here, count = replicas.here(self.strategy), self.strategy.num_replicas_in_sync
        return data.Replicas(self.number * here, here, count)

    def batches(self, dataset: tf.data.Dataset) -> Any:
        """The batches of all replicas. dataset: of the rows of those of this process, in order."""
        if self.strategy.num_replicas_in_sync == 1:
            return dataset
        return self.strategy.distribute_datasets_from_function(lambda _: dataset)

    def any(self, here: bool) -> bool:
        """Whether something is so in any of the processes. here: in this one."""
        return bool(self._sum(np.array([here], np.int64))[0]) if self.several else here

    def from_chief(self, decide: Callable[[], Any]) -> Any:
        """Lets the chief decide, and returns its decision in all, as JSON gives it back.

        A UserError of the chief's is raised in all.
        """
        if not self.several:
            return decide()
        decision = self._shared(_outcome(decide) if self.chief else {})
        if "error" in decision:
            raise UserError(decision["error"])
        return decision["value"]

    def wait(self) -> None:
        """Waits until all processes are here."""
        self.any(False)

    def chief_first(self, action: Callable[[], Any]) -> None:
        """Does something in the chief, and then in the others, which find what it has written."""

        def decide() -> None:
            action()

        self.from_chief(decide)
        if not self.chief:
            action()

    def _shared(self, decision: dict[str, Any]) -> dict[str, Any]:
        text = np.frombuffer(json.dumps(decision).encode(), np.uint8).astype(np.int64)
        length = int(self._sum(np.array([len(text) if self.chief else 0]))[0])
        mine = text if self.chief else np.zeros(length, np.int64)
        return dict(json.loads(bytes(self._sum(mine).astype(np.uint8))))

    def _sum(self, values: np.ndarray) -> np.ndarray:
        """The sum of the values, [n] int64, of each process."""
        return np.array(self._total(tf.constant(values, tf.int64)))

    def _total_of(self, values: tf.Tensor) -> tf.Tensor:
        """The sum over processes, each of which counts once, whatever number of replicas it has."""

        def of_replica() -> tf.Tensor:
            return values * tf.cast(replicas.is_first_here(), tf.int64)

        return self.strategy.reduce("SUM", self.strategy.run(of_replica), axis=None)


def _number(resolver: Any) -> int:
    """This process's number in the cluster; the chief, where one is named, comes first."""
    chiefs = len(resolver.cluster_spec().as_dict().get("chief", ()))
    return int(resolver.task_id) + (chiefs if resolver.task_type == "worker" else 0)


def _outcome(decide: Callable[[], Any]) -> dict[str, Any]:
    try:
        return {"value": decide()}
    except UserError as error:
        return {"error": str(error)}
