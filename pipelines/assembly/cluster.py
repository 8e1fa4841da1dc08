"""A cluster of Dask, as a flag names it."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pipelines.flags.cluster import LOCAL, SLURM, Cluster
from rt_tf.errors import UserError
from rt_tf.machine import usable_cores

WAIT = 60.0  # seconds for a scheduler, and for the first worker, to be there
Key = TypeVar("Key")
THREADS = "TF_NUM_INTRAOP_THREADS"  # an environment variable of TensorFlow


@contextlib.contextmanager
def connected(cluster: Cluster) -> Iterator[Any]:
    """A client of a cluster, whose workers are ended with the block if they were started for it.

    UserError where Dask is not installed, no scheduler answers, or no worker comes.
    """
    try:
        import dask
        import distributed
    except ImportError as error:
        raise UserError(
            f"cluster: expected Dask (pip install 'rt-tf[cluster]'); {error}"
        ) from error
    settings = {
        "distributed.worker.daemon": False,  # workers that verify start processes of their own
        "distributed.comm.timeouts.connect": WAIT,
    }
    with dask.config.set(settings), contextlib.ExitStack() as stack:
        own = _started(cluster, stack)
        try:
            client = stack.enter_context(distributed.Client(own or cluster.kind, timeout=WAIT))
            client.wait_for_workers(1, timeout=WAIT if own is None else None)
        except (OSError, TimeoutError, ValueError) as error:
            raise UserError(
                f"cluster: expected a scheduler with workers at {cluster.kind}; {error}"
            ) from error
        yield client


def results(
    client: Any, function: Callable[[Any], Any], arguments: Mapping[Key, Any], lost: Any
) -> Iterator[tuple[Key, Any]]:
    """Yields the name and the result of a function of each argument, as workers come to them.

    arguments: by names. lost: in the place of a result that no worker survived to give.
    """
    from distributed import as_completed

    futures = {client.submit(function, v, pure=False): name for name, v in arguments.items()}
    try:
        for future in as_completed(list(futures)):
            yield futures[future], result_of(future, lost)
    finally:
        client.cancel(list(futures), force=True)


def result_of(future: Any, lost: Any) -> Any:
    """The result of a task of Dask's; `lost` where no worker survived it."""
    from distributed import KilledWorker

    try:
        return future.result()
    except KilledWorker:
        return lost


def _started(cluster: Cluster, stack: contextlib.ExitStack) -> Any:
    """Workers that are started for this command; None for those of a scheduler."""
    if cluster.kind == LOCAL:
        return stack.enter_context(_local(cluster.workers))
    if cluster.kind == SLURM:
        return stack.enter_context(_slurm(cluster.workers))
    return None


def _local(workers: int) -> Any:
    """Processes of this machine, which share its cores; none is ended for its memory by Dask."""
    import distributed

    threads = max(1, (usable_cores() or 1) // workers)
    os.environ.setdefault(THREADS, str(threads))  # read by the workers' TensorFlow
    return distributed.LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        memory_limit=0,
        dashboard_address=None,
        silence_logs="CRITICAL",
    )


def _slurm(jobs: int) -> Any:
    """Jobs of SLURM, each of one worker, as Dask's file jobqueue.yaml describes them."""
    try:
        from dask_jobqueue import SLURMCluster
    except ImportError as error:
        raise UserError(
            f"cluster: expected dask-jobqueue (pip install 'rt-tf[cluster]'); {error}"
        ) from error
    try:
        cluster = SLURMCluster(processes=1)
    except (ValueError, TypeError) as error:
        raise UserError(
            "cluster: expected cores and memory of a job in Dask's jobqueue.yaml; "
            f"{' '.join(str(error).split())}"
        ) from error
    cluster.scale(jobs=jobs)
    return cluster
