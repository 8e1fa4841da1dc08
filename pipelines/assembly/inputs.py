"""A run's data set and the domain of its network's input, from flags."""

from absl import flags

from rt_tf import data
from rt_tf.domain import UNIT, Domain


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
