"""A finished run as the subject of an evaluation."""

from pipelines.console import flag
from pipelines.runs import restoring
from pipelines.runs.directory import RunDirectory
from rt_tf import data, models
from rt_tf.command_line import called
from rt_tf.errors import UserError
from rt_tf.evaluation.subject import Subject
from rt_tf.network.trace import trace
from rt_tf.serving import saved_model
from rt_tf.threats.region import Threat


def load_run(run: RunDirectory, dataset: data.DataSet, threat: Threat) -> Subject:
    """A run's network and its test split; UserError if it is not there yet or cannot be read."""
    network = restoring.load_network(run)
    checksum = saved_model.network_checksum(network)
    if saved_model.exported_checksum(run.export) != checksum:
        raise UserError(
            f"model_dir: expected {run.export} to hold this run's network; it does not; "
            f"{called('export')} {flag('model_dir', run.path)} writes it"
        )
    return Subject(
        members=tuple(trace(member, domain=dataset.domain) for member in models.members(network)),
        served=saved_model.load(run.export),
        test=dataset.test,
        threat=threat,
        own_threat=run.frozen()["threat"],
        checksum=checksum,
        records=run.records,
    )
