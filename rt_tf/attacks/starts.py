"""Where attacks start."""

import tensorflow as tf

from rt_tf.attacks.task import Task
from rt_tf.network.ops import Tensor

START = 0  # the draw of random numbers; ascents draw from 1 on


def zero(task: Task) -> Tensor:
    """The image itself."""
    return task.region.x


def uniform(task: Task) -> Tensor:
    """A random point of the region."""
    return task.inward().region.start(task.noise(START))


def signs(task: Task) -> Tensor:
    """Half the radius in a random direction of every pixel (R+FGSM, Tramer et al. 2018)."""
    region = task.inward().region
    return region.project(region.x + 0.5 * region.radius() * tf.sign(task.noise(START) - 0.5))
