"""The machine that this process runs on."""

import os
import resource
import sys


def usable_cores() -> int | None:
    """The number of cores that this process may run on; all, where the system does not say."""
    is_known = hasattr(os, "sched_getaffinity")  # not on every POSIX system
    return len(os.sched_getaffinity(0)) if is_known else os.cpu_count()


def memory() -> int:
    """The bytes of the machine's main memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def peak_memory() -> int:
    """The most bytes of main memory that this process has held so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
