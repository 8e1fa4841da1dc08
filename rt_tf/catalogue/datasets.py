"""Data sets by name."""

from rt_tf.catalogue.entries import Entry

DATASETS = {
    "digits": Entry("rt_tf.data.sources:DIGITS", "8x8 digits of scikit-learn, embedded"),
    "points": Entry(
        "rt_tf.data.sources:POINTS", "points in the plane, two classes, made here (1x2 images)"
    ),
    "mnist": Entry("rt_tf.data.sources:MNIST", "28x28 handwritten digits"),
    "fashion_mnist": Entry("rt_tf.data.sources:FASHION_MNIST", "28x28 articles of clothing"),
    "cifar10": Entry("rt_tf.data.sources:CIFAR10", "32x32 colour images"),
    "cifar100": Entry("rt_tf.data.sources:CIFAR100", "32x32 colour images of a hundred classes"),
    "svhn_cropped": Entry("rt_tf.data.sources:SVHN", "32x32 digits of house numbers"),
    "imagenet": Entry(
        "rt_tf.data.sources:IMAGENET", "colour images of a thousand classes, at 224x224"
    ),
}
