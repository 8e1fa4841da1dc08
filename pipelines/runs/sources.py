"""Networks of other runs, on which points are made for an evaluation."""

import functools

from pipelines.runs.directory import RunDirectory
from pipelines.runs.restoring import load_network
from rt_tf import models
from rt_tf.errors import UserError
from rt_tf.evaluation.attacking import TransferSource
from rt_tf.evaluation.subject import Subject
from rt_tf.network.trace import trace
from rt_tf.reporting.claim import domain_of


def load_source(path: str, subject: Subject) -> TransferSource:
    """Another run's network; UserError where it is not there or takes other images."""
    run = RunDirectory(path)
    if not run.has_network():
        raise UserError(f"transfer_from: expected folders of finished runs; received {path}")
    domain, target = domain_of(run.facts()), subject.wiring
    wiring = trace(models.members(load_network(run))[0], domain=domain)
    if domain.config() != target.domain.config():
        raise UserError(
            f"transfer_from: expected networks of inputs in {target.domain}; {path} has {domain}"
        )
    if wiring.input_shape != target.input_shape or wiring.classes != target.classes:
        raise UserError(
            f"transfer_from: expected networks of {target.input_shape} images and "
            f"{target.classes} classes; {path} has {wiring.input_shape} and {wiring.classes}"
        )
    again = functools.partial(load_source, str(run.path.resolve()))
    return TransferSource(run.path.name, wiring.lower(), again)
