"""The description for TFDS of data sets that are generated without network."""

import tensorflow_datasets as tfds


def image_info(
    builder: tfds.core.DatasetBuilder,
    shape: tuple[int, int, int],
    classes: int,
    description: str,
    homepage: str,
) -> tfds.core.DatasetInfo:
    """The description of images [h, w, c] with a label each, in a fixed order."""
    features = {
        "image": tfds.features.Image(shape=shape),
        "label": tfds.features.ClassLabel(num_classes=classes),
    }
    return tfds.core.DatasetInfo(
        builder=builder,
        description=description,
        features=tfds.features.FeaturesDict(features),
        supervised_keys=("image", "label"),
        homepage=homepage,
        disable_shuffling=True,
    )
