"""Tables that scikit-learn ships, as data sets."""

from sklearn.datasets import load_breast_cancer

from rt_tf.data.sources.arrays import of_arrays
from rt_tf.data.sources.source import Part, Reading, Source


def breast_cancer() -> Source:
    """569 tumours, malignant or benign, with 30 measurements of each (UCI, Wisconsin).

    Measurements run from 0 to 1 over the training rows; a fifth of the rows is held out.
    """
    table = load_breast_cancer()
    return of_arrays(
        "breast_cancer",
        {"train": Part(table.data, table.target)},
        Reading(),
        tuple(map(str, table.target_names)),
        tuple(map(str, table.feature_names)),
    )
