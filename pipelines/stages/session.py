"""A session with a run that has a network, which the process holds meanwhile."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import NamedTuple

from absl import flags

from pipelines.assembly import devices, inputs
from pipelines.assembly.cluster import connected
from pipelines.flags.run import as_text
from pipelines.output import Terminal
from pipelines.progress import ConsoleProgress
from pipelines.runs.directory import RunDirectory
from pipelines.runs.external_network import THREAT, given_file
from pipelines.runs.loading import load_run
from pipelines.runs.provenance import check_data
from pipelines.stages import adopting, publish
from pipelines.stages.elsewhere import DaskEngine, RunOfTask
from rt_tf import data
from rt_tf.errors import UserError
from rt_tf.evaluation.method import Engine
from rt_tf.evaluation.refusals import check_radius
from rt_tf.evaluation.subject import Subject
from rt_tf.records.parts import Part, name_of
from rt_tf.threats.region import Threat


class RunSession(NamedTuple):
    """A run with a network, its data, and the threat and radii of the question.

    is_new: whether the run was made around a network's file just now. alone: takes the run for this
    process alone; returns whether it could, as no other process works on it. engine: the cluster
    that answers examples; None where this process does. part: of the examples, where processes
    share them.
    """

    run: RunDirectory
    dataset: data.DataSet
    threat: Threat
    radii: list[float]
    is_new: bool
    alone: Callable[[], bool]
    engine: Engine | None
    part: Part | None

    def subject(self) -> Subject:
        """The subject of an evaluation; a damaged export is written anew before."""
        publish.mend_export(self.run, self.dataset)
        subject = load_run(self.run, self.dataset, self.threat)
        return subject._replace(engine=self.engine, part=self.part)

    def held_part(self) -> AbstractContextManager[None]:
        """Holds this process's part of the examples, where several processes share them."""
        return self.run.holding(name_of(self.part))


@contextlib.contextmanager
def open_run(
    values: flags.FlagValues, run_values: flags.FlagValues, screen: Terminal
) -> Iterator[RunSession]:
    """Holds the run that `run_values` describe; a run around a network's file is made if need be.

    data_dir, cache_dir and download are taken from `values`, if set there.
    """
    run = RunDirectory(values.model_dir)
    run_values.data_dir = values.data_dir or run_values.data_dir
    run_values.cache_dir = values.cache_dir or run_values.cache_dir
    run_values.download = values.download
    devices.prepare_tensorflow()
    part = values.slice if "slice" in values else None
    with run.locked(shared=part is not None) as lock:
        if "epsilon" in values:
            _set_threat(values, run_values)
        threat = inputs.threat(run_values)
        radii = list(values.epsilon or [run_values.epsilon]) if "epsilon" in values else []
        for eps in radii:
            check_radius(threat, eps, "epsilon", inputs.stated_domain(run_values))
        dataset = inputs.load_data(run_values, ConsoleProgress(screen))
        for eps in radii:
            check_radius(threat, eps, "epsilon", dataset.domain)
        check_data(run, dataset)
        is_new = not run.has_network()
        if is_new:
            _refuse_untrained(run, values)
            _refuse_part(run, part is not None)
            adopting.adopt(run, run_values, dataset, threat, screen)
        with _engine(run, values, run_values) as engine:
            yield RunSession(run, dataset, threat, radii, is_new, lock.take, engine, part)


@contextlib.contextmanager
def _engine(
    run: RunDirectory, values: flags.FlagValues, run_values: flags.FlagValues
) -> Iterator[Engine | None]:
    """The cluster that a command names, with all that its workers need to load the run."""
    if "cluster" not in values or values.cluster is None:
        yield None
        return
    texts = {n: as_text(run_values[n].value) for n in run_values if run_values[n].value is not None}
    with connected(values.cluster) as client:
        yield DaskEngine(client, RunOfTask(run.path.resolve(), tuple(texts.items())))


def _set_threat(values: flags.FlagValues, run_values: flags.FlagValues) -> None:
    """Sets the threat and the radius of the command, where it names others than the run's."""
    trained_against = run_values.threat
    for name in THREAT:
        if name in values and values[name].present:
            run_values[name].value = values[name].value
    if values.epsilon is not None:
        run_values.epsilon = values.epsilon[0]
    elif run_values.threat == "union" != trained_against:
        run_values.epsilon = 1.0
    elif run_values.threat != trained_against:
        raise UserError(
            f"epsilon: expected --epsilon=<radius> with --threat={run_values.threat}, which is not "
            "the run's own; received none"
        )


def _refuse_untrained(run: RunDirectory, values: flags.FlagValues) -> None:
    if given_file(values) is None:
        raise UserError(
            f"model_dir: expected a run that has finished training; {run.path} has not; go on with "
            "it by the command that began it"
        )


def _refuse_part(run: RunDirectory, part: bool) -> None:
    if part:
        raise UserError(
            f"slice: expected a run that has its network already; {run.path} has none; certify one "
            "image without --slice first (--samples=1)"
        )
