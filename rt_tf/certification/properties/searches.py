"""The complete searches for clauses that bounds leave open, by name."""

from rt_tf.certification.properties.exclusion import Search
from rt_tf.certification.properties.input_splitting import InputSplitting
from rt_tf.certification.properties.unit_splitting import UnitSplitting


def complete_searches() -> dict[str, Search]:
    """The complete searches, in order, for clauses that the bounds leave open."""
    return {"input_splitting": InputSplitting(), "branch_and_bound": UnitSplitting()}
