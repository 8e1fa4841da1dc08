"""A run's data set, the domain of its network's input and its threat, from flags."""

from absl import flags

from pipelines.flags.evaluation import threat_settings
from rt_tf import catalogue, data
from rt_tf.domain import UNIT, Domain
from rt_tf.evaluation import refusals as evaluation_refusals
from rt_tf.threats.region import Threat


def load_data(values: flags.FlagValues) -> data.DataSet:
    """The run's data set, its images in the domain of the network's input."""
    return data.load(
        values.dataset,
        values.data_dir,
        values.validation,
        values.seed,
        values.download,
        domain(values),
    )


def domain(values: flags.FlagValues) -> Domain:
    """The domain of the network's input."""
    return UNIT if values.input_range in (None, [0.0, 1.0]) else Domain(*values.input_range)


def threat(values: flags.FlagValues) -> Threat:
    """The run's threat; UserError for a radius outside its range."""
    result = catalogue.threat(values.threat, threat_settings(values))
    evaluation_refusals.check_radius(result, values.epsilon, "epsilon", domain(values))
    return result
