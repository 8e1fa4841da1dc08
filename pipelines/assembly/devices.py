"""TensorFlow's devices from flags: seeds, precision of products, replicas.

The one file that names distribution strategies. The training loop and `rt_tf.replicas` use them.
"""

import os

import keras
import tensorflow as tf

from pipelines.assembly import refusals
from pipelines.runs.place import TF_CONFIG, Place

ALONE = Place()


def prepare_tensorflow(seed: int = 0, deterministic: bool = False) -> None:
    """Seeds everything; certificates need full float32 products, so TF32 is off."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def strategy(
    name: str = "auto", jit_compile: bool = False, place: Place = ALONE
) -> tf.distribute.Strategy:
    """The distribution strategy.

    It is that of several processes where there are several, and opens connections to all of them
    then: no operation may have run before. Else it is `mirrored` where that is asked for or there
    are several GPUs: all GPUs, or else all logical CPUs. Else it is one device.
    """
    if place.size > 1:
        refusals.refuse_jit(name, jit_compile, place.size, "processes")
        return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=_resolver())
    gpus = tf.config.list_logical_devices("GPU")
    if name != "mirrored" and (name == "single" or len(gpus) < 2):
        return tf.distribute.get_strategy()
    names = [device.name for device in gpus or tf.config.list_logical_devices("CPU")]
    refusals.refuse_jit(name, jit_compile, len(names), "devices")
    reduction = None if gpus else tf.distribute.ReductionToOneDevice()
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduction)


def _resolver() -> tf.distribute.cluster_resolver.ClusterResolver:
    """The addresses of all processes, from TF_CONFIG or SLURM."""
    if TF_CONFIG in os.environ:
        return tf.distribute.cluster_resolver.TFConfigClusterResolver()
    return tf.distribute.cluster_resolver.SlurmClusterResolver()
