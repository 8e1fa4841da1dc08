"""Attacks by name. Importing this module imports no TensorFlow."""

from rt_tf.catalogue.entries import AttackEntry, Entry

NORMS = ("linf", "l2", "l1")
FORWARD = 0.35  # the cost of a forward pass, as a share of a forward and backward pass

ATTACKS = {
    "fgsm": AttackEntry(
        "rt_tf.attacks.gradient.pgd:fgsm",
        "one step, of 1.25 eps by default",
        training=True,
        climbs=True,
    ),
    "pgd": AttackEntry(
        "rt_tf.attacks.gradient.pgd:pgd",
        "projected gradient ascent, steps of 2.5 eps / steps by default",
        ("early_stop",),
        training=True,
        climbs=True,
    ),
    "mim": AttackEntry(
        "rt_tf.attacks.gradient.pgd:mim",
        "PGD with momentum",
        ("early_stop",),
        training=True,
        climbs=True,
    ),
    "worst": AttackEntry(
        "rt_tf.attacks.gradient.union:worst_part",
        "PGD in each part of a union; the highest loss counts",
        ("early_stop",),
        threats=("union",),
        cost=3.0,
        training=True,
        climbs=True,
    ),
    "msd": AttackEntry(
        "rt_tf.attacks.gradient.union:msd",
        "multi steepest descent: each step that of a union's part which raises the loss most",
        ("early_stop",),
        threats=("union",),
        cost=2.1,
        training=True,
        climbs=True,
    ),
    "adaptive": AttackEntry(
        "rt_tf.attacks.gradient.adaptive:adaptive",
        "PGD within a radius that grows, up to eps, until the network errs",
        training=True,
        minimal=True,
        climbs=True,
    ),
    "interval": AttackEntry(
        "rt_tf.attacks.gradient.interval:interval_attack",
        "PGD, then steps along the gradient of a bound, PGD again after each (MixTrain)",
        ("pgd_steps", "first"),
        threats=NORMS,
        cost=20.0,
        climbs=True,
    ),
    "cascade": AttackEntry(
        "rt_tf.attacks.gradient.cascade:cascade_attack",
        "for cascades: to where members agree on a wrong class and one of them certifies it",
        ("classes",),
        threats=(*NORMS, "union"),
        cost=280.0,  # of three members and nine classes, two climbs for each, by forty passes
        cascade=True,
    ),
    "apgd": AttackEntry(
        "rt_tf.attacks.gradient.apgd:apgd",
        "Auto-PGD, on the chosen loss; finds its step sizes itself",
        threats=NORMS,
        climbs=True,
    ),
    "apgd_t": AttackEntry(
        "rt_tf.attacks.gradient.apgd:apgd_t",
        "Auto-PGD on the DLR loss towards the 9 likeliest wrong classes in turn",
        ("classes",),
        NORMS,
        cost=9.0,
    ),
    "fab_t": AttackEntry(
        "rt_tf.attacks.minimal.fab:fab_t",
        "the fast adaptive boundary attack towards these 9 classes: nearest counterexamples",
        ("classes", "early_stop"),
        NORMS,
        cost=9 * (1.0 + FORWARD),
    ),
    "square": AttackEntry(
        "rt_tf.attacks.blackbox.square:square",
        "random search without gradients; steps are queries",
        threats=NORMS,
        cost=FORWARD,
        black_box=True,
        images=("l2", "l1"),
    ),
    "pointwise": AttackEntry(
        "rt_tf.attacks.blackbox.pointwise:pointwise",
        "few pixels, noisy ones set back one by one; steps are rounds over them at most",
        threats=("l1", "l2"),
        cost=140.0,  # of 28x28 pixels, three rounds of five
        black_box=True,
        minimal=True,
    ),
    "foolbox_fgsm": AttackEntry(
        "rt_tf.attacks.foolbox.attacks:fgsm",
        "Foolbox's FGSM: one step, of eps by default",
        threats=NORMS,
        eager=True,
        one_range=True,
    ),
    "foolbox_pgd": AttackEntry(
        "rt_tf.attacks.foolbox.attacks:pgd",
        "Foolbox's PGD: steps of 2.5 eps / steps by default",
        threats=NORMS,
        eager=True,
        one_range=True,
    ),
    "foolbox_mim": AttackEntry(
        "rt_tf.attacks.foolbox.attacks:mim",
        "Foolbox's PGD with momentum",
        threats=NORMS,
        eager=True,
        one_range=True,
    ),
    "deepfool": AttackEntry(
        "rt_tf.attacks.foolbox.attacks:deepfool",
        "steps to the nearest class of the linearised network, 50 as a rule",
        threats=("linf", "l2"),
        cost=9.0,  # of ten classes
        eager=True,
        one_range=True,
        minimal=True,
    ),
    "ddn": AttackEntry(
        "rt_tf.attacks.foolbox.attacks:ddn",
        "decoupled direction and norm: steps on spheres that shrink and grow, 100 as a rule",
        threats=("l2",),
        eager=True,
        one_range=True,
        minimal=True,
    ),
    "fmn": AttackEntry(
        "rt_tf.attacks.foolbox.attacks:fmn",
        "fast minimum norm: steps in balls that shrink and grow, 100 as a rule",
        threats=("l1",),
        eager=True,
        one_range=True,
        minimal=True,
    ),
    "cw": AttackEntry(
        "rt_tf.attacks.foolbox.attacks:cw",
        "Carlini & Wagner; steps for each of nine penalties, 100 to 10,000 as a rule",
        threats=("l2",),
        cost=9.0,
        eager=True,
        one_range=True,
        minimal=True,
    ),
    "ead": AttackEntry(
        "rt_tf.attacks.foolbox.attacks:ead",
        "elastic net; steps for each of nine penalties, 100 to 10,000 as a rule",
        threats=("l1",),
        cost=13.5,
        eager=True,
        one_range=True,
        minimal=True,
    ),
    "boundary": AttackEntry(
        "rt_tf.attacks.foolbox.attacks:boundary",
        "a random walk along the edge of another class, 25,000 steps as a rule",
        threats=("l2",),
        cost=0.55,
        black_box=True,
        eager=True,
        one_range=True,
        minimal=True,
    ),
    "salt_pepper": AttackEntry(
        "rt_tf.attacks.foolbox.attacks:salt_pepper",
        "pixels at the ends of their range; steps are draws, 1,000 as a rule",
        threats=("l1",),
        cost=0.5,
        black_box=True,
        eager=True,
        one_range=True,
        minimal=True,
    ),
    "gaussian_noise": AttackEntry(
        "rt_tf.attacks.foolbox.attacks:gaussian_noise",
        "normally distributed noise; steps are draws, 100 as a rule",
        threats=("l2",),
        cost=0.5,
        black_box=True,
        eager=True,
        one_range=True,
    ),
    "uniform_noise": AttackEntry(
        "rt_tf.attacks.foolbox.attacks:uniform_noise",
        "uniform noise; steps are draws, 100 as a rule",
        threats=("linf",),
        cost=0.5,
        black_box=True,
        eager=True,
        one_range=True,
    ),
}

LOSSES = {
    "ce": Entry("rt_tf.attacks.losses:cross_entropy", "cross-entropy"),
    "odds": Entry(
        "rt_tf.attacks.losses:odds",
        "log-odds against the label of logits scaled to one spread: cross-entropy's direction, "
        "where the network is sure, too",
    ),
    "margin": Entry("rt_tf.attacks.losses:margin", "the best other logit less the label's (CW)"),
    "dlr": Entry("rt_tf.attacks.losses:dlr", "the margin over the logits' spread"),
}

STARTS = {
    "uniform": Entry("rt_tf.attacks.starts:uniform", "a random point of the region"),
    "ball": Entry(
        "rt_tf.attacks.starts:ball",
        "a random point of the ball, of any pixel value",
        threats=(*NORMS, "union"),
    ),
    "zero": Entry("rt_tf.attacks.starts:zero", "the image itself"),
    "signs": Entry("rt_tf.attacks.starts:signs", "half of eps in random directions (R+FGSM)"),
}
