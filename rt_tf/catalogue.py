"""What the library offers, by name.

Importing this module imports no TensorFlow, so that help texts and errors can list the names at
once. A new model, data set, threat, attack or bound is one function in one file and one row here.
"""

import functools
import importlib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from rt_tf.attacks.table import ATTACKS, LOSSES, STARTS
from rt_tf.errors import UserError


class Entry(NamedTuple):
    """Where a name is implemented (`module:attribute`) and what it is, in a line.

    options: settings of its own that it takes by keyword, besides those of all of its kind.
    probable: a bound that holds with a stated probability over random draws.
    certificate: of a bound for training alone, the one that certifies what it stands for.
    threats: those that a bound has an answer to; all if there are none here.
    static: threats for which a bound does not choose at run time what to bound, as XLA needs.
    """

    path: str
    summary: str
    options: tuple[str, ...] = ()
    probable: bool = False
    certificate: str = ""
    threats: tuple[str, ...] = ()
    static: tuple[str, ...] = ()


THREATS = {
    "linf": Entry("rt_tf.threats.linf:Linf", "every pixel moves by at most eps (0 < eps <= 1)"),
    "l2": Entry(
        "rt_tf.threats.l2:L2", "the Euclidean norm of all moves is at most eps (0 < eps <= 1000)"
    ),
    "l1": Entry(
        "rt_tf.threats.l1:L1", "the sizes of all moves add up to at most eps (0 < eps <= 1000000)"
    ),
    "union": Entry(
        "rt_tf.threats.union:Union",
        "any one of the three; eps multiplies the radii of --union_radii",
        ("radii",),
    ),
    "wasserstein": Entry(
        "rt_tf.threats.wasserstein.ball:Wasserstein",
        "pixel mass moves, at a cost (share of the mass times pixels) of at most eps (0 < eps <= "
        "100); no bound answers to it",
        ("size", "p", "weight"),
    ),
}

BOUNDS = {
    "interval": Entry(
        "rt_tf.bounds.methods:interval_bounds", "interval arithmetic (IBP)", static=("linf",)
    ),
    "crown_ibp": Entry(
        "rt_tf.bounds.methods:crown_ibp_bounds",
        "backward linear bounds over interval pre-activation bounds",
        static=("linf",),
    ),
    "fast_lin_ibp": Entry(
        "rt_tf.bounds.methods:fast_lin_ibp_bounds",
        "the same with parallel lines",
        static=("linf",),
    ),
    "zonotope": Entry(
        "rt_tf.bounds.methods:zonotope_bounds", "zonotopes forward (DeepZ); equal to dual"
    ),
    "dual": Entry(
        "rt_tf.bounds.methods:dual_bounds",
        "backward bounds of every layer with parallel lines, cut by intervals; as a rung the "
        "better of that and of Wong & Kolter's, which nothing cuts",
        ("memory",),
    ),
    "crown": Entry(
        "rt_tf.bounds.methods:crown_bounds", "backward bounds of every layer", ("memory",)
    ),
    "shared_slope": Entry(
        "rt_tf.bounds.methods:shared_slope_bounds",
        "dual with slopes optimised that both lines share (COLT)",
        ("memory", "steps"),
    ),
    "alpha_crown": Entry(
        "rt_tf.bounds.methods:alpha_crown_bounds",
        "crown with the last pass's slopes optimised",
        ("memory", "steps"),
    ),
    "probable": Entry(
        "rt_tf.bounds.methods:probable_bounds",
        "dual with probability 1 - delta over random projections",
        ("delta", "projections", "seed"),
        probable=True,
        threats=("linf", "l2"),
    ),
    "cauchy": Entry(
        "rt_tf.bounds.methods:cauchy_bounds",
        "dual estimated from random projections, for training",
        ("projections", "seed"),
        certificate="dual",
        threats=("linf", "l2"),
        static=("linf", "l2"),
    ),
    "crown_ibp_fused": Entry(
        "rt_tf.bounds.methods:fused_bounds",
        "CROWN-IBP of the loss as one specification (loss fusion), for training",
        certificate="crown_ibp",
        static=("linf",),
    ),
}

# Rungs of a certificate's ladder besides bounds; they look at one network and one threat.
SEARCHES = {
    "attack": Entry(
        "rt_tf.certify.attack_rung:AttackRung",
        "APGD on the margin, 50 steps from 4 starts: falsifies, which needs no proof",
    ),
    "branch_and_bound": Entry(
        "rt_tf.certify.branching:BranchAndBound",
        "splits ReLUs until all is proved or a counterexample is met (beta-CROWN)",
        ("memory", "time_limit"),
        threats=("linf", "l2", "l1"),
    ),
    "lp": Entry(
        "rt_tf.certify.solver_rungs:lp",
        "the linear program of all triangles, by HiGHS",
        ("memory", "threads", "time_limit"),
        threats=("linf",),
    ),
    "milp_last": Entry(
        "rt_tf.certify.solver_rungs:milp_last",
        "the same with binaries for the last hidden layer",
        ("memory", "threads", "time_limit"),
        threats=("linf",),
    ),
    "milp_conv": Entry(
        "rt_tf.certify.solver_rungs:milp_conv",
        "the same with up to 300 binaries for the ReLU after the last convolution",
        ("binaries", "memory", "threads", "time_limit"),
        threats=("linf",),
    ),
    "milp": Entry(
        "rt_tf.certify.solver_rungs:milp",
        "the same with a binary for every open ReLU: the network itself, for small ones",
        ("memory", "threads", "time_limit"),
        threats=("linf",),
    ),
}

MODELS = {
    "digits_cnn": Entry(
        "rt_tf.models.chains:digits_cnn", "for 8x8: conv 16 3x3, conv 32 4x4 s2, fc 100"
    ),
    "digits_fc": Entry("rt_tf.models.chains:digits_fc", "fc 100, fc 100"),
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
    "wrn_28_10": Entry(
        "rt_tf.models.residual:wrn_28_10", "WideResNet-28-10 for 32x32, batch-normalised"
    ),
    "resnet50": Entry("rt_tf.models.residual:resnet50", "ResNet-50, batch-normalised"),
}

DATASETS = {
    "digits": Entry("rt_tf.data.sources:DIGITS", "8x8 digits of scikit-learn, embedded"),
    "points": Entry(
        "rt_tf.data.sources:POINTS", "points in the plane, two classes, made here (1x2 images)"
    ),
    "mnist": Entry("rt_tf.data.sources:MNIST", "28x28 handwritten digits"),
    "fashion_mnist": Entry("rt_tf.data.sources:FASHION_MNIST", "28x28 articles of clothing"),
    "cifar10": Entry("rt_tf.data.sources:CIFAR10", "32x32 colour images"),
    "cifar100": Entry("rt_tf.data.sources:CIFAR100", "the same of a hundred classes"),
    "svhn_cropped": Entry("rt_tf.data.sources:SVHN", "32x32 digits of house numbers"),
    "imagenet": Entry(
        "rt_tf.data.sources:IMAGENET", "colour images of a thousand classes, at 224x224"
    ),
}

TABLES: dict[str, Mapping[str, Any]] = {
    "threat": THREATS,
    "attack": ATTACKS,
    "loss": LOSSES,
    "start": STARTS,
    "bound": BOUNDS,
    "search": SEARCHES,
    "model": MODELS,
    "dataset": DATASETS,
}


def find(kind: str, name: str) -> Any:
    """Returns the entry of a name; UserError lists what exists for an unknown one."""
    table = TABLES[kind]
    if name not in table:
        raise UserError(f"{kind}: expected one of {', '.join(table)}; received '{name}'")
    return table[name]


def certificates() -> list[str]:
    """Names of the bounds that certify, those with a stated probability included."""
    return [name for name, entry in BOUNDS.items() if not entry.certificate]


def rungs() -> dict[str, Entry]:
    """What a ladder may consist of, in the order of what it costs: attack, bounds, searches."""
    bounds = {name: BOUNDS[name] for name in certificates()}
    others = {name: entry for name, entry in SEARCHES.items() if name != "attack"}
    return {"attack": SEARCHES["attack"], **bounds, **others}


def search(name: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Callable[..., Any]:
    """Imports a search, with those of the settings that it takes."""
    return _given("search", name, settings)


def bound(name: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Callable[..., Any]:
    """Imports a bound method, with those of the settings that it takes."""
    return _given("bound", name, settings)


def attacks_on(threat: str) -> list[str]:
    """Names of the attacks that there are on a threat."""
    return [name for name, entry in ATTACKS.items() if threat in (entry.threats or (threat,))]


def threat(name: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Makes a threat, with those of the settings that it takes."""
    return _given("threat", name, settings)()


def attack(name: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Callable[..., Any]:
    """Imports an attack, with those of the settings that it takes: a function of task and start."""
    return _given("attack", name, settings, ("steps", "step_size"))


def _given(
    kind: str, name: str, settings: Mapping[str, Any], common: Iterable[str] = ()
) -> Callable[..., Any]:
    taken = [option for option in (*common, *find(kind, name).options) if option in settings]
    return functools.partial(resolve(kind, name), **{option: settings[option] for option in taken})


def resolve(kind: str, name: str) -> Any:
    """Imports and returns what a name stands for."""
    module, attribute = find(kind, name).path.split(":")
    return getattr(importlib.import_module(module), attribute)
