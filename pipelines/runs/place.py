"""The place of this process among those that train together, as their launcher tells it."""

import json
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from rt_tf.errors import UserError

TF_CONFIG = "TF_CONFIG"
SLURM = ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")  # srun sets them for each of its tasks
KINDS = ("chief", "worker")


class Place(NamedTuple):
    """The number of this process, 0 for the chief, and the number of all."""

    number: int = 0
    size: int = 1


def here(strategy: str, environment: Mapping[str, str] = os.environ) -> Place:
    """The place that the environment states, by TF_CONFIG or by srun's variables.

    strategy: of the flags; one of this process's own devices needs no others. UserError for
    `multi_worker` in an environment that states no place, and for a TF_CONFIG that is none.
    """
    if strategy not in ("auto", "multi_worker"):
        return Place()
    if TF_CONFIG in environment:
        return _of_cluster(environment[TF_CONFIG])
    if all(name in environment for name in SLURM):
        return Place(*(int(environment[name]) for name in SLURM))
    if strategy == "multi_worker":
        raise UserError(
            f"strategy: expected {TF_CONFIG}, or the variables of srun's tasks, with multi_worker; "
            "found neither in the environment"
        )
    return Place()


def _of_cluster(text: str) -> Place:
    """The place that a TF_CONFIG states."""
    try:
        stated = json.loads(text)
        cluster, task = stated["cluster"], stated["task"]
        first, index = _first_of(task["type"], cluster), int(task["index"])
        size = sum(len(cluster.get(kind, ())) for kind in KINDS)
        if not 0 <= index < len(cluster[task["type"]]):
            raise ValueError(f"there is no {task['type']} {index}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"{TF_CONFIG}: expected "
            '{"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}}; '
            f"received {' '.join(text.split())[:200]} ({type(error).__name__}: {error})"
        ) from error
    return Place(first + index, size)


def _first_of(kind: str, cluster: Mapping[str, Any]) -> int:
    """The number of the first process of a kind."""
    if kind not in KINDS:
        raise ValueError(f"a process that trains is a chief or a worker, not '{kind}'")
    return len(cluster.get("chief", ())) if kind == "worker" else 0
