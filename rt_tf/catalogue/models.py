"""Architectures by name, and the other ways to name one.

A network is named by a row of MODELS, by a Python function `module:function`, or by a .keras file.
"""

import re

from rt_tf.catalogue.entries import Entry

MODELS = {
    "digits_cnn": Entry(
        "rt_tf.models.chains:digits_cnn", "for 8x8: conv 16 3x3, conv 32 4x4 s2, fc 100"
    ),
    "digits_fc": Entry("rt_tf.models.chains:digits_fc", "fc 100, fc 100"),
    "table_fc": Entry("rt_tf.models.chains:table_fc", "for tables: fc 64, fc 64"),
    "points_fc": Entry("rt_tf.models.chains:points_fc", "for points: four times fc 100"),
    "wong_small": Entry("rt_tf.models.chains:wong_small", "conv 16 4x4 s2, conv 32 4x4 s2, fc 100"),
    "wong_large": Entry(
        "rt_tf.models.chains:wong_large",
        "conv 32 3x3, 32 4x4 s2, 64 3x3, 64 4x4 s2, fc 512, fc 512",
    ),
    "wong_resnet": Entry(
        "rt_tf.models.residual:wong_resnet", "conv 16 3x3, four residual blocks, fc 1000"
    ),
    "wong_wide": Entry(
        "rt_tf.models.chains:wong_wide",
        "Wide(k), k by --model_scale: conv 4k 4x4 s2, conv 8k 4x4 s2, fc 128k",
    ),
    "wong_deep": Entry(
        "rt_tf.models.chains:wong_deep",
        "Deep(k), k by --model_scale: k conv 8, k conv 16 (first of each 4x4 s2), fc 100",
    ),
    "mixtrain_fc1": Entry("rt_tf.models.chains:mixtrain_fc1", "fc 512, fc 512"),
    "mixtrain_fc2": Entry("rt_tf.models.chains:mixtrain_fc2", "five times fc 2048"),
    "colt": Entry("rt_tf.models.chains:colt", "conv 32 4x4 s2, conv 128 4x4 s2, fc 150"),
    "cnn7": Entry(
        "rt_tf.models.chains:cnn7", "conv 64, 64, 128 s2, 128, 128 (3x3), fc 512; for --batch_norm"
    ),
    "madry_cnn": Entry(
        "rt_tf.models.chains:madry_cnn", "conv 32 5x5, max pool, conv 64 5x5, max pool, fc 1024"
    ),
    "preact_resnet18": Entry(
        "rt_tf.models.residual:preact_resnet18", "PreActResNet18 for 32x32, batch-normalised"
    ),
    "vit": Entry(
        "rt_tf.models.transformers:vit",
        "vision transformer: 16 tokens of width 32, two blocks of 2 heads",
    ),
    "wrn_28_10": Entry(
        "rt_tf.models.residual:wrn_28_10", "WideResNet-28-10 for 32x32, batch-normalised"
    ),
    "resnet50": Entry("rt_tf.models.residual:resnet50", "ResNet-50, batch-normalised"),
}


FUNCTION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


def is_function(name: str) -> bool:
    """Whether a name is that of a Python function, `module:function`."""
    return bool(FUNCTION.fullmatch(name))


def is_file(name: str) -> bool:
    """Whether a name is that of a .keras file."""
    return name.endswith(".keras")
