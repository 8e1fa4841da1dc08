"""Attacks with their budgets, and suites of them. Importing this module imports no TensorFlow."""

from typing import NamedTuple

from rt_tf.catalogue.attacks import ATTACKS
from rt_tf.exactly import exactly

USUAL_LOSS = "ce"  # of attacks as published; also the entry of budgets whose attack climbs none


class Budget(NamedTuple):
    """An attack with its steps, restarts, step size, start and loss.

    step_size: in units of eps; 0 for the attack's own. threats: limits the threats of a suite's
    questions that it is tried on, further than the attack's own do; no limit if empty.
    """

    attack: str
    steps: int = 1
    restarts: int = 1
    step_size: float = 0.0
    start: str = "uniform"
    loss: str = USUAL_LOSS
    threats: tuple[str, ...] = ()

    @property
    def passes(self) -> float:
        """The forward and backward passes for an example, at most."""
        return ATTACKS[self.attack].cost * self.steps * self.restarts

    def is_for(self, threat: str) -> bool:
        """Whether the budget is to be tried on a threat of this name."""
        of_attack = ATTACKS[self.attack].threats
        return threat in (of_attack or (threat,)) and threat in (self.threats or (threat,))

    def name(self, seed: int = 0) -> str:
        """The name of the budget's records, with all settings but the usual ones: `pgd-40x2`."""
        unusual = {
            f"a{exactly(self.step_size)}": self.step_size > 0.0,
            self.start: self.start != "uniform",
            self.loss: self.loss != USUAL_LOSS,
            f"s{seed}": seed != 0,
        }
        parts = [f"{self.attack}-{self.steps}x{self.restarts}"]
        return "-".join(parts + [part for part, is_unusual in unusual.items() if is_unusual])


class Suite(NamedTuple):
    """Attacks that are run together. by_part: on each ball of a union by itself."""

    summary: str
    budgets: tuple[Budget, ...]
    by_part: bool = False


AUTO_ATTACK = (
    Budget("apgd", 100),
    Budget("apgd_t", 100),
    Budget("fab_t", 100),
    Budget("square", 5000),
)
SINGLE_STEP = Budget("fgsm", start="zero")
QUICK = Budget("pgd", 40, loss="odds")  # where a first answer, or one of many, is wanted
NOISE = (Budget("uniform_noise", 100), Budget("gaussian_noise", 100))

SUITES = {
    "quick": Suite(
        "FGSM, PGD of 20 and of 40 steps with 2 restarts on the log-odds, noise: a first look",
        (SINGLE_STEP, QUICK._replace(steps=20), QUICK._replace(restarts=2), *NOISE),
    ),
    "standard": Suite(
        "AutoAttack's four (APGD-CE, APGD-T, FAB-T: 100 steps; Square: 5,000 queries), "
        "PGD of 50 steps with 2 and 10 restarts on the log-odds, FGSM, noise",
        (
            SINGLE_STEP,
            Budget("pgd", 50, 2, loss="odds"),
            Budget("pgd", 50, 10, loss="odds"),
            *AUTO_ATTACK,
            *NOISE,
        ),
    ),
    "paper-union": Suite(
        "the attacks of Wong 2020, table 5.2, on the Linf, L2 and L1 balls of --union_radii; "
        "PGD with 2 restarts too, to see what more of them change, and on the log-odds",
        (
            QUICK,
            Budget("pgd", 100, 2, threats=("linf", "l1")),
            Budget("pgd", 100, 10, threats=("linf", "l1")),
            Budget("pgd", 200, 2, threats=("l2",)),
            Budget("pgd", 200, 10, threats=("l2",)),
            Budget("fgsm", start="zero", threats=("linf",)),
            Budget("foolbox_pgd", 40, 10, threats=("linf", "l2")),
            Budget("mim", 40, 10, threats=("linf",)),
            Budget("gaussian_noise", 100, threats=("l2",)),
            Budget("boundary", 1000, threats=("l2",)),
            Budget("deepfool", 50, threats=("l2",)),
            Budget("pointwise", 5, 2, threats=("l2", "l1")),
            Budget("ddn", 100, threats=("l2",)),
            Budget("cw", 100, threats=("l2",)),
            Budget("ead", 100, threats=("l1",)),
            Budget("salt_pepper", 1000, threats=("l1",)),
        ),
        by_part=True,
    ),
    "blackbox": Suite(
        "no gradients of the network: Square (5,000 queries), boundary, pointwise, salt and "
        "pepper, noise, and PGD on the networks of --transfer_from",
        (
            Budget("square", 5000),
            Budget("boundary", 1000),
            Budget("pointwise", 5, 2),
            Budget("salt_pepper", 1000),
            *NOISE,
        ),
    ),
}
