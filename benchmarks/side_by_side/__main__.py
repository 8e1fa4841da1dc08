"""Bounds and training steps against auto_LiRPA's, in turns, on one core with one thread each.

    python -m venv PEER && PEER/bin/pip install torch==2.13.0 appdirs graphviz ninja numpy \
        packaging pyyaml tqdm
    PEER/bin/pip install --no-deps git+https://github.com/Verified-Intelligence/auto_LiRPA
    python -m benchmarks.side_by_side --peer_python=PEER/bin/python [--rounds=9] [--json=FILE]

auto_LiRPA runs in that environment of its own (its release pins an older PyTorch, hence --no-deps),
as a process that computes while this one waits. Both get the same weights and images; the command
ends where the first values differ. A round is a turn of each: `--moment` seconds of runs, one at
least. `faster`: the median over rounds of the peer's median time over ours. A training step is the
bound of the margins, the cross-entropy of the worst case (kappa 1), gradients and Adam, without a
clean pass; that of `natural` is of the images' own loss. Certification has no gradients.
"""

import argparse
import functools
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf
from rich.console import Console
from rich.progress import track

from benchmarks.side_by_side import comparison, export, ours
from benchmarks.side_by_side.comparison import Times
from benchmarks.side_by_side.lines import LINES, NETWORKS, Line
from benchmarks.side_by_side.worker import ONE_THREAD, Peer
from benchmarks.timing import Job, surroundings
from pipelines.console import one_line_errors
from rt_tf.files import write_text

FIRST = {"training": 3, "certification": 1}  # values that are compared


def pin(core: int | None) -> None:
    """Keeps this process, and those that it starts, on one core and one thread.

    core: None for the last of those that this process may use.
    """
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(usable) if core is None else core})
    os.environ.update(ONE_THREAD)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def measured(line: Line, peer: Peer, rounds: int, moment: float) -> Times:
    """The times of a line; UserError where the two sides compute different values."""
    keras.backend.clear_session()
    subject = ours.subject(line)
    first = FIRST[line.task]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "network.npz"
        export.write(file, *subject)
        theirs = peer.ask("prepare", file=str(file), first=first, rate=ours.RATE, **line.asked)
    run = ours.run(line, subject)
    values = [run() for _ in range(first)]
    comparison.refuse_difference(line, values, theirs["values"])
    job = Job(run)
    return comparison.take_turns(
        functools.partial(own_turn, job, moment),
        lambda: peer.ask("turn", moment=moment)["seconds"],
        rounds,
    )


def own_turn(job: Job, moment: float) -> list[float]:
    """The seconds of the runs of one turn of ours."""
    begun = len(job.times)
    job.turn(moment)
    return job.times[begun:]


def rows(networks: list[str], peer: Peer, rounds: int, moment: float) -> Iterator[tuple]:
    """Yields every line of some networks, and its times."""
    for line in track([line for line in LINES if line.network in networks], transient=True):
        yield line, measured(line, peer, rounds, moment)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--peer_python", default="", help="of an environment with auto_LiRPA")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each line")
    parser.add_argument("--moment", type=float, default=0.3, help="seconds of a turn, at least")
    parser.add_argument("--core", type=int, help="of both processes; the last one by default")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    return parser


def main() -> None:
    """The entry point."""
    arguments = parser().parse_args()
    with one_line_errors(goes_on=False):
        pin(arguments.core)
        with Peer(arguments.peer_python) as peer:
            versions = peer.ask("versions")["versions"]
            timed = list(rows(arguments.networks, peer, arguments.rounds, arguments.moment))
        Console(highlight=False, width=100).print(comparison.table(timed))
        about = surroundings()
        about["versions"] |= versions
        print(", ".join(f"{name} {version}" for name, version in about["versions"].items()))
        if arguments.json:
            lines = [comparison.record(line, times) for line, times in timed]
            write_text(arguments.json, json.dumps({**about, "rows": lines}, indent=1) + "\n")


if __name__ == "__main__":
    main()
