"""The flags of the processes that answer examples. Imports neither TensorFlow nor Dask."""

from typing import NamedTuple

from absl import flags

from pipelines.flags.group import Group
from pipelines.flags.kinds import share, whole

LOCAL, SLURM = "local", "slurm"
FORMS = "local:<processes>, slurm:<jobs> or a scheduler's address such as tcp://host:8786"


class Cluster(NamedTuple):
    """A cluster of Dask: workers that are started for the command, or a scheduler that has some.

    kind: `local` or `slurm`, with the number of processes or jobs; else the scheduler's address.
    """

    kind: str
    workers: int = 0


def cluster(text: str) -> Cluster:
    """The cluster of a flag."""
    kind, _, rest = text.partition(":")
    if kind in (LOCAL, SLURM):
        return Cluster(kind, whole(1, 10_000)(rest))
    if rest.startswith("//") and rest.rpartition(":")[2].isdigit():
        return Cluster(text)
    raise ValueError(f"expected {FORMS}; received '{text}'")


def cluster_group(values: flags.FlagValues) -> Group:
    """The flag of a cluster."""
    group = Group("Other processes", values)
    about = f"A cluster of Dask that shares the work: {FORMS} (docs/scale.md)."
    group.one("cluster", cluster, None, about)
    return group


def sharing_group(values: flags.FlagValues) -> Group:
    """The flags of processes that share the examples: a cluster, or parts by hand."""
    group = cluster_group(values)
    about = (
        "The part of the examples, such as 1/4, where several processes work on a run; array, or "
        "array/<number of tasks>, for that of a task of an array job (SLURM, Kubernetes)."
    )
    group.one("slice", share, None, about)
    return group
