"""The opening of a data set by its name: a source, whatever way the name goes."""

from rt_tf.catalogue.datasets import dataset_name
from rt_tf.catalogue.entries import imported
from rt_tf.data.sources.function import made
from rt_tf.data.sources.source import Reading, Source
from rt_tf.data.sources.tfds_sets import TfdsSet
from rt_tf.errors import UserError


def open_source(name: str, reading: Reading) -> Source:
    """The source of a name, with a test part (see `rt_tf.catalogue.datasets`).

    A row of the catalogue is a `TfdsSet`, or a function as that of `module:function`. UserError for
    a name that names nothing, and for data that do not fit.
    """
    try:
        named = dataset_name(name)
    except ValueError as error:
        raise UserError(f"dataset: {error}") from error
    value = imported(named.entry.path)
    if not named.is_listed:
        return value(named.rest, reading)
    return value.source(reading) if isinstance(value, TfdsSet) else made(name, value, reading)
