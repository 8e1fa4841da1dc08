"""Training by several processes: agreement on what is trained, and the end of all with one."""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator

import tensorflow as tf

from pipelines.flags.run import OPERATIONAL
from pipelines.runs.interruption import Interruption, StartAgain, deferred
from rt_tf import data
from rt_tf.errors import UserError
from rt_tf.training.loop.loop import Loop
from rt_tf.training.loop.workers import Workers

TASK = re.compile(r"/job:(chief|worker)/replica:0/task:(\d+)")
# What TensorFlow raises in a process whose connection to another one ends, or waits too long.
LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)


def refuse_others(workers: Workers, texts: dict[str, str], dataset: data.DataSet) -> None:
    """Raises UserError in all processes if one has other flags or data than the chief.

    texts: the flags of this one.
    """
    if not workers.several:
        return
    of_training = {name: text for name, text in texts.items() if name not in OPERATIONAL}
    described = json.dumps([of_training, dataset.name, len(dataset.train), dataset.test.checksum])
    own = hashlib.sha256(described.encode()).hexdigest()
    if workers.any(workers.from_chief(lambda: own) != own):
        raise UserError(
            "strategy: expected the same flags and data in all processes that train together; "
            "those of at least one differ from those of worker 0"
        )


@contextlib.contextmanager
def stopping_together(loop: Loop) -> Iterator[None]:
    """Lets signals stop the loop of this block between two steps; a second one ends it at once.

    Of several processes, all end where one is stopped or lost: StartAgain.
    """
    several = loop.workers.several
    try:
        with deferred() as loop.stopping:
            yield
    except Interruption as interruption:
        raise StartAgain(str(interruption)) if several else interruption from None
    except KeyboardInterrupt:
        if not several:
            raise
        raise StartAgain("another worker was stopped") from None
    except tf.errors.OpError as error:
        if several and (isinstance(error, LOST) or TASK.search(str(error))):
            raise StartAgain(_lost(str(error), loop)) from error
        raise


def _lost(text: str, loop: Loop) -> str:
    """Says in words that a worker was lost, and which one, as far as an error's text tells."""
    others = {int(number) for _, number in TASK.findall(text)} - {loop.workers.number}
    who = f"worker {others.pop()}" if len(others) == 1 else "another worker"
    return f"{who} was lost after step {loop.position.total_steps:,}"
