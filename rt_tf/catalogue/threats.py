"""Threats by name."""

from rt_tf.catalogue.entries import Entry

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
