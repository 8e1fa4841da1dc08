"""Starts of attacks: functions of a task to points [batch, ...]."""

import dataclasses

import tensorflow as tf

from rt_tf.attacks.task import Task
from rt_tf.domain import UNLIMITED
from rt_tf.errors import UserError
from rt_tf.network.ops import Tensor

START = 0  # the draw of random numbers; ascents draw from 1 on


def zero(task: Task) -> Tensor:
    """The images themselves."""
    return task.region.x


def uniform(task: Task) -> Tensor:
    """Random points of the region."""
    return task.inward().region.start(task.noise(START))


def ball(task: Task) -> Tensor:
    """Random points of the ball, whose pixels may lie outside of their range.

    Where many pixels are at an end of their range, half of the region's points have them
    unmoved: one large step from there overfits just like one from the image itself. UserError
    for a threat whose ball exists within the range alone. Source: Wong 2020 (thesis), algorithm
    7.
    """
    threat = task.region.threat
    if not threat.has_support:
        raise UserError(f"start: expected another than ball for {threat.name}; received ball")
    wide = dataclasses.replace(task.inward().region, domain=UNLIMITED)
    return wide.start(task.noise(START))


def signs(task: Task) -> Tensor:
    """Points half the radius off, each pixel at random (R+FGSM, Tramer et al. 2018)."""
    region = task.inward().region
    return region.project(region.x + 0.5 * region.radius() * tf.sign(task.noise(START) - 0.5))
