"""The lines of `benchmarks.bounds`: a computation each, and the best PyTorch code's figure for it.

The peers were measured on a machine of the same kind, two threads, float32, with the allocator
settings that suit them best: auto_LiRPA 0.7.1, convex_adversarial and CTRAIN on PyTorch 2.13.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class Line(NamedTuple):
    """A computation that is timed, and the best other code's figure for it.

    per: 'step', 'image' (training, milliseconds) or 'second' (certification, images). peer: the
    other code's figure in this unit; None without one. factor: by which ours is to be faster; 0 for
    no aim. options: of the bound. samples, attack_steps: of the objective.
    """

    network: str
    name: str
    method: str
    per: str
    batch: int
    peer: float | None
    factor: float
    options: Mapping[str, Any] = MappingProxyType({})
    samples: int = 0
    attack_steps: int = 0


TRAINING = [
    Line("small", "interval", "interval", "step", 100, 19.0, 1.5),
    Line("small", "CROWN-IBP", "crown_ibp", "step", 100, 102.0, 1.5),
    Line("small", "CROWN-IBP, loss fusion", "crown_ibp_fused", "step", 100, None, 0.0),
    Line("small", "Cauchy 10", "cauchy", "step", 100, 376.0, 2.0, {"projections": 10}),
    Line("small", "Cauchy 50", "cauchy", "step", 100, 1511.0, 2.0, {"projections": 50}),
    Line("small", "dual, cut by intervals", "dual", "image", 20, 60.0, 3.0),
    Line("small", "full CROWN", "crown", "image", 20, 34.0, 3.0),
    Line("small", "interval, CTRAIN", "interval", "step", 256, 33.0, 1.5),
    Line("small", "CROWN-IBP, CTRAIN", "crown_ibp", "step", 256, 366.0, 1.5),
    Line("small", "MTL-IBP, 8 steps, CTRAIN", "interval", "step", 256, 67.0, 1.5, attack_steps=8),
    Line("small", "MixTrain 1 of 50, dual", "dual", "step", 50, None, 0.0, samples=1),
    Line("small", "MixTrain 1 of 50, CROWN", "crown", "step", 50, None, 0.0, samples=1),
    Line("large", "interval", "interval", "step", 100, 145.0, 1.5),
    Line("large", "CROWN-IBP", "crown_ibp", "step", 100, 1018.0, 1.5),
    Line("large", "Cauchy 10", "cauchy", "step", 10, 620.0, 2.0, {"projections": 10}),
    Line("large", "dual, cut by intervals", "dual", "image", 1, 9000.0, 3.0),
    Line("large", "full CROWN", "crown", "image", 1, 3100.0, 3.0),
]
CERTIFICATION = [
    Line("small", "interval", "interval", "second", 1000, 13_800.0, 1.5),
    Line("small", "CROWN-IBP", "crown_ibp", "second", 200, 1460.0, 1.5),
    Line("small", "dual, cut by intervals", "dual", "second", 50, 54.0, 3.0),
    Line("small", "full CROWN", "crown", "second", 50, 55.0, 3.0),
    Line("small", "optimised slopes, 20", "alpha_crown", "second", 50, 1.15, 10.0, {"steps": 20}),
    Line("large", "interval", "interval", "second", 100, 1150.0, 1.5),
    Line("large", "CROWN-IBP", "crown_ibp", "second", 50, 154.0, 1.5),
    Line("large", "dual, cut by intervals", "dual", "second", 2, 0.23, 3.0),
    Line("large", "full CROWN", "crown", "second", 2, 0.79, 3.0),
]
ROBUST = [
    Line("run", "dual, cut by intervals", "dual", "second", 100, 92.0, 5.0),
    Line("run", "full CROWN", "crown", "second", 100, 55.0, 5.0),
    Line("run", "optimised slopes, 20", "alpha_crown", "second", 100, 1.15, 10.0, {"steps": 20}),
]
