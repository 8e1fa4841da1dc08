"""Published systems that `rt_tf.fit` trains by; each is also a flag file of the command line."""

from collections.abc import Mapping
from typing import Any, NamedTuple


class System(NamedTuple):
    """A published system: its objective in a line, and the settings of its one training phase.

    flag_file: the file in configs/ with this phase. epochs: of the schedule. settings: fields of
    `rt_tf.training.phases.Phase` that differ from its defaults; lengths are in epochs of this
    schedule. train_eps, eps_from: the radius of training and the radius at which it begins, in
    units of the radius to be robust at. clip_norm: the global norm that gradients are clipped at;
    0 for none. batch_size: of the flag file.
    """

    summary: str
    flag_file: str
    epochs: int
    settings: Mapping[str, Any]
    train_eps: float = 1.0
    eps_from: float = 0.0
    clip_norm: float = 0.0
    batch_size: int = 100


_PGD = {
    "attack": "pgd",
    "attack_steps": 40,
    "attack_step_size": 1 / 30,
    "eps_ramp_epochs": 1.0,
    "decay_epochs": (7.0, 9.0),
}
_INTERVALS = {
    "bound": "interval",
    "ramp": "smooth",
    "warmup_epochs": 1.0,
    "eps_ramp_epochs": 20.0,
    "warmup_regularizer": 0.5,
    "learning_rate": 5e-4,
    "decay_epochs": (50.0, 60.0),
}
_POINTS = {**_INTERVALS, "attack": "pgd", "attack_steps": 8, "l1": 1e-5}

SYSTEMS = {
    "natural": System(
        "cross-entropy of the images", "mnist/natural", 10, {"decay_epochs": (7.0, 9.0)}
    ),
    "pgd": System("PGD of 40 steps (Madry et al. 2018)", "mnist/pgd", 10, _PGD),
    "trades": System(
        "TRADES (Zhang et al. 2019)", "mnist/trades", 10, {**_PGD, "trades_beta": 6.0}
    ),
    "provable": System(
        "the dual bound of the worst case (Wong & Kolter 2018)",
        "mnist/provable",
        100,
        {"bound": "dual", "kappa": 1.0, "kappa_from": 1.0, "eps_ramp_epochs": 50.0},
        eps_from=0.5,
        batch_size=50,
    ),
    "mixtrain": System(
        "the dual bound of one example of each batch (Wang et al. 2018)",
        "mnist/mixtrain",
        60,
        {
            "bound": "dual",
            "bound_samples": 1,
            "kappa": 0.8,
            "kappa_from": 0.8,
            "eps_ramp_epochs": 10.0,
            "decay_epochs": tuple(5.0 * k for k in range(1, 12)),
            "decay_factor": 0.6,
        },
        eps_from=0.1,
        batch_size=50,
    ),
    "crown_ibp": System(
        "backward bounds over intervals (Zhang et al. 2020)",
        "mnist/crown_ibp",
        12,
        {
            "bound": "crown_ibp",
            "kappa": 0.5,
            "warmup_epochs": 1.0,
            "eps_ramp_epochs": 5.0,
            "decay_epochs": (9.0, 11.0),
        },
        clip_norm=10.0,
    ),
    "shi": System(
        "interval bounds with a warm-up (Shi et al. 2021)",
        "mnist/shi",
        70,
        {**_INTERVALS, "kappa": 1.0, "kappa_from": 1.0},
        train_eps=2.0,
        clip_norm=10.0,
        batch_size=256,
    ),
    "sabr": System(
        "interval bounds of small boxes around attacked points (Mueller et al. 2023)",
        "mnist/sabr",
        70,
        {**_POINTS, "kappa": 1.0, "kappa_from": 1.0, "bound_ratio": 0.4},
        clip_norm=10.0,
        batch_size=256,
    ),
    "mtl_ibp": System(
        "attacked points and interval bounds (De Palma et al. 2024)",
        "mnist/mtl_ibp",
        70,
        {**_POINTS, "kappa": 0.02, "kappa_from": 0.02},
        clip_norm=10.0,
        batch_size=256,
    ),
}
