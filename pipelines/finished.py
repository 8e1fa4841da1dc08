"""A run whose network is there, held while it is asked about."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

from absl import flags
from rich.console import Console

from pipelines import adopt, questions, system
from pipelines.provenance import check_data
from pipelines.run_directory import RunDirectory
from rt_tf import data
from rt_tf.errors import UserError
from rt_tf.threats.region import Threat


class Finished(NamedTuple):
    """A run with a network, its data and threat, and the radii (eps, examples) asked about.

    is_new: whether it was made around a given network just now.
    """

    run: RunDirectory
    dataset: data.DataSet
    threat: Threat
    radii: questions.Radii
    is_new: bool

    def subject(self) -> questions.Subject:
        """What questions are asked about."""
        return questions.subject(self.run, self.dataset, self.threat)


@contextlib.contextmanager
def opened(
    values: flags.FlagValues, asked: flags.FlagValues, screen: Console
) -> Iterator[Finished]:
    """Holds the run that `asked` describes, making it if it is to be around a given network.

    data_dir and download are taken from `values` where given there.
    """
    run = RunDirectory(values.model_dir)
    asked.data_dir = values.data_dir or asked.data_dir
    asked.download = values.download
    system.prepare_tensorflow()
    with run.locked():
        threat = system.threat(asked)
        radii = _radii(values, asked.epsilon, threat)
        dataset = system.load_data(asked)
        check_data(run, dataset)
        is_new = not run.has_network()
        if is_new:
            _refuse_untrained(run, values)
            adopt.adopt(run, asked, dataset, threat, screen)
        yield Finished(run, dataset, threat, radii, is_new)


def _radii(values: flags.FlagValues, own: float, threat: Threat) -> list[tuple[float, int]]:
    """The radii asked for, with the number of samples; the run's own if none are."""
    if "epsilon" not in values:
        return []
    radii = [own] if values.epsilon is None else list(values.epsilon)
    for eps in radii:
        system.check_radius(threat, eps, "epsilon")
    return [(eps, values.samples) for eps in radii]


def _refuse_untrained(run: RunDirectory, values: flags.FlagValues) -> None:
    if "keras_file" not in values or not values.keras_file:
        raise UserError(
            f"model_dir: expected a run that has finished training; {run.path} has not; go on with "
            "it by the command that began it"
        )
