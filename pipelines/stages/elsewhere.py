"""Examples of a run that are answered by the workers of a cluster."""

import functools
import pickle
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.assembly.cluster import results
from pipelines.console import import_tensorflow
from pipelines.runs.supervised import end_with_parent
from rt_tf.evaluation.method import Recipe
from rt_tf.records.record_file import Row

KEPT = 8  # subjects and tools that a worker keeps for its next task


class RunOfTask(NamedTuple):
    """A run as a worker is to load it: its folder, and its flags as text.

    The folder must be one that the worker sees, too: it stores counterexamples and proofs there.
    """

    folder: Path
    flags: tuple[tuple[str, str], ...]


class DaskEngine(NamedTuple):
    """The workers of a cluster, as the engine of a run's subject. client: of Dask."""

    client: Any
    run: RunOfTask

    def answers(
        self, threat: Any, recipe: Recipe, places: Sequence[int], say: Callable[[str], None]
    ) -> Iterator[list[Row]]:
        """Yields the records of examples, as tasks end.

        A task whose worker is lost is asked again, in the end one example at a time; an example
        that no worker survives is named, and has no answer.
        """
        pickled = [pickle.dumps(part) for part in (threat, recipe.tools, recipe.method)]
        asked = functools.partial(answered, self.run, pickled)
        chunks = [
            list(places[k : k + recipe.at_once]) for k in range(0, len(places), recipe.at_once)
        ]
        lost: list[int] = []
        for chunk in (yield from self._asked(asked, chunks)):
            lost += [] if len(chunk) > 1 else chunk
            if len(chunk) > 1:
                alone = yield from self._asked(asked, [[place] for place in chunk])
                lost += [place for (place,) in alone]
        if lost:
            say(f"workers did not survive {len(lost)} examples: {', '.join(map(str, lost))}")

    def _asked(self, asked: Callable[[list[int]], list[Row]], chunks: Sequence[list[int]]) -> Any:
        """Yields the records of tasks as they end; returns the tasks that no worker survived."""
        killed = []
        named = {tuple(chunk): list(chunk) for chunk in chunks}
        for chunk, rows in results(self.client, asked, named, lost=None):
            if rows is None:
                killed.append(list(chunk))
            else:
                yield rows
        return killed


def answered(run: RunOfTask, pickled: Sequence[bytes], places: list[int]) -> list[Row]:
    """The records of the examples at some places, in a worker.

    pickled: the threat, and the tools and the method of a recipe.
    """
    threat, tools, method = pickled
    subject = _subject(run)._replace(threat=pickle.loads(threat))
    made = pickle.loads(method)(subject, _tools(run, threat, tools))
    chosen = np.array(places)
    return list(made.rows(chosen, subject.examples(chosen)))


@functools.lru_cache(KEPT)
def _tools(run: RunOfTask, threat: bytes, tools: bytes) -> Any:
    """The tools that methods share."""
    return pickle.loads(tools)(_subject(run)._replace(threat=pickle.loads(threat)))


@functools.lru_cache(KEPT)
def _subject(run: RunOfTask) -> Any:
    """The run's network and test split, which this worker loads once."""
    end_with_parent()
    import_tensorflow()
    from pipelines.assembly import devices, inputs
    from pipelines.flags.plugins import import_plugins
    from pipelines.flags.run import run_flags
    from pipelines.runs.directory import RunDirectory
    from pipelines.runs.loading import load_run

    import_plugins(["", f"--model_dir={run.folder}"])
    devices.prepare_tensorflow()
    values = run_flags(dict(run.flags))
    return load_run(RunDirectory(run.folder), inputs.load_data(values), inputs.threat(values))
