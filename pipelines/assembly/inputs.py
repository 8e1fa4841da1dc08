"""A run's data set, the domain of its network's input and its threat, from flags."""

from absl import flags

from pipelines.flags.data import brings_domain, reading_settings
from pipelines.flags.evaluation import threat_settings
from rt_tf import catalogue, data
from rt_tf.domain import UNIT, UNLIMITED, Domain
from rt_tf.evaluation import refusals as evaluation_refusals
from rt_tf.progress import Progress, Silent
from rt_tf.threats.region import Threat

SILENT = Silent()


def load_data(values: flags.FlagValues, progress: Progress = SILENT) -> data.DataSet:
    """The run's data set, its inputs in the domain of the network's input.

    UserError for settings that this data set does not take, and for a radius that is beyond its
    domain.
    """
    settings = reading_settings(values)
    reading = data.Reading(cache_dir=values.cache_dir, progress=progress, **settings)
    dataset = data.load(
        values.dataset,
        values.data_dir,
        values.validation,
        values.seed,
        values.download,
        image_range(values),
        reading,
    )
    evaluation_refusals.check_radius(threat(values), values.epsilon, "epsilon", dataset.domain)
    return dataset


def image_range(values: flags.FlagValues) -> Domain:
    """The range that images are read in."""
    return UNIT if values.input_range in (None, [0.0, 1.0]) else Domain(*values.input_range)


def stated_domain(values: flags.FlagValues) -> Domain:
    """The domain of the network's input as far as flags state it, before data are read."""
    return UNLIMITED if brings_domain(values) else image_range(values)


def threat(values: flags.FlagValues) -> Threat:
    """The run's threat; UserError for a radius that is out of range for all that flags state."""
    result = catalogue.threat(values.threat, threat_settings(values))
    evaluation_refusals.check_radius(result, values.epsilon, "epsilon", stated_domain(values))
    return result
