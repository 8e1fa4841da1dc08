"""Bounds and searches by name, and the ladder that is recommended."""

from rt_tf.catalogue.entries import Entry

RECOMPUTE = "recompute"  # the option of bounds whose layers gradients may compute again
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
        "backward bounds with parallel lines over interval pre-activation bounds",
        static=("linf",),
    ),
    "zonotope": Entry(
        "rt_tf.bounds.methods:zonotope_bounds", "zonotopes forward (DeepZ); equal to dual"
    ),
    "dual": Entry(
        "rt_tf.bounds.methods:dual_bounds",
        "backward bounds of every layer with parallel lines, cut by intervals; as a rung the "
        "better of that and of Wong & Kolter's, which nothing cuts",
        ("memory", RECOMPUTE),
    ),
    "crown": Entry(
        "rt_tf.bounds.methods:crown_bounds",
        "backward bounds of every layer",
        ("memory", RECOMPUTE),
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
        certified_by="dual",
        threats=("linf", "l2"),
        static=("linf", "l2"),
    ),
    "crown_ibp_fused": Entry(
        "rt_tf.bounds.methods:fused_bounds",
        "CROWN-IBP of the loss as one specification (loss fusion), for training",
        certified_by="crown_ibp",
        static=("linf",),
    ),
}


# Rungs of a certificate's ladder besides bounds; they look at one network and one threat.
SEARCHES = {
    "attack": Entry(
        "rt_tf.certification.rungs.attack:AttackRung",
        "APGD on the margin, 50 steps from 4 starts: falsifies, which needs no proof",
    ),
    "branch_and_bound": Entry(
        "rt_tf.certification.rungs.branch_and_bound:branch_and_bound",
        "splits ReLUs until all is proved or a counterexample turns up (beta-CROWN); for networks "
        "with other curves it splits the region, which is not complete",
        ("memory", "time_limit"),
        threats=("linf", "l2", "l1"),
    ),
    "lp": Entry(
        "rt_tf.certification.rungs.programs:lp",
        "the linear program of all triangles, by HiGHS",
        ("memory", "threads", "time_limit"),
        threats=("linf",),
    ),
    "milp_last": Entry(
        "rt_tf.certification.rungs.programs:milp_last",
        "the linear program with binaries for the last hidden layer",
        ("memory", "threads", "time_limit"),
        threats=("linf",),
    ),
    "milp_conv": Entry(
        "rt_tf.certification.rungs.programs:milp_conv",
        "the linear program with up to 300 binaries for the ReLU after the last convolution",
        ("binaries", "memory", "threads", "time_limit"),
        threats=("linf",),
    ),
    "milp": Entry(
        "rt_tf.certification.rungs.programs:milp",
        "the linear program with a binary for every open ReLU: the network itself, if small",
        ("memory", "threads", "time_limit"),
        threats=("linf",),
    ),
}

# The recommended ladder: cheap rungs before dear ones, the complete one last.
LADDER = ("attack", "interval", "crown_ibp", "crown", "alpha_crown", "branch_and_bound")
