"""A run whose network is there, held while it is asked about."""

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from absl import flags
from rich.console import Console

from pipelines.build import system
from pipelines.runs.directory import RunDirectory
from pipelines.runs.external_network import THREAT, given_file
from pipelines.runs.loading import load_run
from pipelines.runs.provenance import check_data
from pipelines.stages import adopting, publish
from rt_tf import data
from rt_tf.errors import UserError
from rt_tf.evaluation.refusals import check_radius
from rt_tf.evaluation.subject import Subject
from rt_tf.threats.region import Threat


class RunSession(NamedTuple):
    """A run with a network, its data, the threat and the radii asked about.

    is_new: whether it was made around a given network just now. alone: whether no other process
    works on the run, which then stays so.
    """

    run: RunDirectory
    dataset: data.DataSet
    threat: Threat
    radii: list[float]
    is_new: bool
    alone: Callable[[], bool]

    def subject(self) -> Subject:
        """What is evaluated; a damaged export is written anew before."""
        publish.mend_export(self.run, self.dataset)
        return load_run(self.run, self.dataset, self.threat)


@contextlib.contextmanager
def open_run(
    values: flags.FlagValues, asked: flags.FlagValues, screen: Console
) -> Iterator[RunSession]:
    """Holds the run that `asked` describes, making it if it is to be around a given network.

    data_dir and download are taken from `values` where given there.
    """
    run = RunDirectory(values.model_dir)
    asked.data_dir = values.data_dir or asked.data_dir
    asked.download = values.download
    system.prepare_tensorflow()
    part = "slice" in values and values.slice is not None
    with run.locked(shared=part) as lock:
        if "epsilon" in values:
            _set_threat(values, asked)
        threat = system.threat(asked)
        radii = list(values.epsilon or [asked.epsilon]) if "epsilon" in values else []
        for eps in radii:
            check_radius(threat, eps, "epsilon", system.domain(asked))
        dataset = system.load_data(asked)
        check_data(run, dataset)
        is_new = not run.has_network()
        if is_new:
            _refuse_untrained(run, values)
            _refuse_part(run, part)
            adopting.adopt(run, asked, dataset, threat, screen)
        yield RunSession(run, dataset, threat, radii, is_new, lock.take)


def _set_threat(values: flags.FlagValues, asked: flags.FlagValues) -> None:
    """The threat and the radius that are asked about, where the command names others."""
    own = asked.threat
    for name in THREAT:
        if name in values and values[name].present:
            asked[name].value = values[name].value
    if values.epsilon is not None:
        asked.epsilon = values.epsilon[0]
    elif asked.threat == "union" != own:
        asked.epsilon = 1.0
    elif asked.threat != own:
        raise UserError(
            f"epsilon: expected --epsilon=<radius> with --threat={asked.threat}, which is not the "
            "run's own; received none"
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
            f"slice: expected a run that holds its network already; {run.path} does not; certify "
            "one image without --slice first (--samples=1)"
        )
