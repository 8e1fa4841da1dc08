"""TensorFlow's devices from flags: seeds, precision of products, replicas."""

import keras
import tensorflow as tf

from pipelines.assembly import refusals


def prepare_tensorflow(seed: int = 0, deterministic: bool = False) -> None:
    """Seeds everything; certificates need full float32 products, so TF32 is off."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    if deterministic:
        tf.config.experimental.enable_op_determinism()


def strategy(name: str, jit_compile: bool) -> tf.distribute.Strategy:
    """The distribution strategy. Mirrored: all GPUs, or else all logical CPUs."""
    if name == "default":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU")
    reduction = None if devices else tf.distribute.ReductionToOneDevice()
    names = [device.name for device in devices or tf.config.list_logical_devices("CPU")]
    refusals.refuse_jit(name, jit_compile, names)
    return tf.distribute.MirroredStrategy(names, cross_device_ops=reduction)
