"""The machine that this process runs on."""

import os


def usable_cores() -> int | None:
    """The number of cores that this process may run on; all, where the system does not say."""
    is_known = hasattr(os, "sched_getaffinity")  # not on every POSIX system
    return len(os.sched_getaffinity(0)) if is_known else os.cpu_count()
