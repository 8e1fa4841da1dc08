"""Attacks of Foolbox 3 (Rauber et al. 2020) as attacks of this library, for evaluation alone.

Foolbox gives points; `rt_tf.attacks.judging` judges whether they succeed. Attacks within a radius
begin at `start`, the others at the image. Where the network errs already, the image is returned.
Losses are Foolbox's own, whatever the task's. So are random numbers, which are seeded from the
first example's key: a chunk of examples is attacked alike every time, but an example is not in
another chunk.

Each takes a task, start [batch, ...], steps and step_size, and returns points [batch, ...].
UserError for a threat that it is not for, and for a step_size where it has its own.
"""

from collections.abc import Mapping
from typing import Any

from rt_tf.attacks.foolbox.bridge import attacked, attacks, moved, run_foolbox, smallest, within
from rt_tf.attacks.gradient.pgd import usual
from rt_tf.attacks.task import Task
from rt_tf.errors import UserError, refuse_unknown
from rt_tf.network.ops import Tensor

PGD = {"linf": attacks.LinfPGD, "l2": attacks.L2PGD, "l1": attacks.L1PGD}
MIM = {
    "linf": attacks.LinfMomentumIterativeFastGradientMethod,
    "l2": attacks.L2MomentumIterativeFastGradientMethod,
    "l1": attacks.L1MomentumIterativeFastGradientMethod,
}
DEEPFOOL = {"linf": attacks.LinfDeepFoolAttack, "l2": attacks.L2DeepFoolAttack}
GAUSSIAN_NOISE = {"l2": attacks.L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack}


class UniformNoise(attacks.LinfRepeatedAdditiveUniformNoiseAttack):
    """Foolbox's uniform noise, scaled so that it stays in the ball downwards as well."""

    def get_epsilons(self, x: Any, p: Any, epsilon: float, min_: float, max_: float) -> Any:
        """The factor of each example's noise, by its largest size: [batch, 1, ...]."""
        return epsilon / p.abs().max(axis=tuple(range(1, p.ndim)), keepdims=True)


def fgsm(task: Task, start: Tensor, steps: int = 1, step_size: float = 0.0) -> Tensor:
    """One step of steepest ascent from start, eps long by default, whatever `steps` says."""
    return pgd(task, start, steps=1, step_size=step_size or 1.0)


def pgd(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """Projected gradient ascent. step_size: in units of eps; 0 for 2.5 / steps."""
    size = usual(steps, step_size)
    return within(task, start, _kind(task, PGD)(steps=steps, rel_stepsize=size))


def mim(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """Projected gradient ascent with momentum (Dong et al. 2018)."""
    size = usual(steps, step_size)
    kind = _kind(task, MIM)
    return within(task, start, kind(steps=steps, rel_stepsize=size, random_start=True))


def gaussian_noise(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """Normally distributed noise of L2 norm eps, `steps` draws of it."""
    return within(task, start, _kind(task, GAUSSIAN_NOISE, step_size)(repeats=steps))


def uniform_noise(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """Uniform noise of Linf norm eps, `steps` draws of it."""
    return within(task, start, _kind(task, {"linf": UniformNoise}, step_size)(repeats=steps))


def deepfool(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """Steps to the nearest class of the linearised network (Moosavi-Dezfooli et al. 2016)."""
    if task.targets is not None:
        raise UserError("targets: expected none: deepfool seeks the nearest class; received some")
    return smallest(task, start, _kind(task, DEEPFOOL, step_size)(steps=steps))


def ddn(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """Steps on L2 spheres that shrink wherever the network errs, else grow (Rony et al. 2019)."""
    return smallest(task, start, _kind(task, {"l2": attacks.DDNAttack}, step_size)(steps=steps))


def fmn(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """Steps on shrinking and growing balls of the L1 norm (FMN, Pintor et al. 2021)."""
    return smallest(task, start, _kind(task, {"l1": attacks.L1FMNAttack}, step_size)(steps=steps))


def cw(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """The least L2 norm, with the margin as a penalty (Carlini & Wagner 2017).

    `steps` of Adam for each of nine weights of the penalty; the fewer, the longer and coarser.
    """
    kind = _kind(task, {"l2": attacks.L2CarliniWagnerAttack}, step_size)
    return smallest(task, start, kind(steps=steps, stepsize=max(0.01, 10.0 / max(steps, 1))))


def ead(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """The least L1 norm, by iterative shrinkage and thresholding (EAD, Chen et al. 2018)."""
    kind = _kind(task, {"l1": attacks.EADAttack}, step_size)
    return smallest(task, start, kind(steps=steps, decision_rule="L1"))


def salt_pepper(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """Pixels at the ends of their range: ever more until the network errs, then ever fewer."""
    kind = _kind(task, {"l1": attacks.SaltAndPepperNoiseAttack}, step_size)
    return smallest(task, start, kind(steps=steps, channel_axis=-1))


def boundary(task: Task, start: Tensor, steps: int, step_size: float = 0.0) -> Tensor:
    """A random walk along the edge of another class, towards the image (Brendel et al. 2018).

    It begins at noise blended with the image; where the network errs on none, the image is
    returned.
    """
    walk = _kind(task, {"l2": attacks.BoundaryAttack}, step_size)(steps=steps)
    blend = attacks.LinearSearchBlendedUniformNoiseAttack(steps=50, directions=100)

    def walked(some: Task, begin: Tensor) -> Tensor:
        return run_foolbox(some, walk, starting_points=begin)[0]

    def move(some: Task, _: Tensor) -> Tensor:
        begin, errs = run_foolbox(some, blend)
        return moved(some, errs, begin, walked)

    return attacked(task, start, move)


def _kind(task: Task, kinds: Mapping[str, Any], step_size: float = 0.0) -> Any:
    """Foolbox's attack on the task's threat; UserError if there is none.

    step_size: UserError unless 0, of an attack with steps of its own.
    """
    name = task.region.threat.name
    refuse_unknown("threat", name, kinds)
    if step_size:
        raise UserError(f"step_size: expected 0: the attack has its own; received {step_size}")
    return kinds[name]
