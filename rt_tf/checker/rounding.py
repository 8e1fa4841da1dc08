"""The effect of rounding: in the served network's float32, and in float64 here.

A sum of m products and a bias in float32, in any order, errs by at most `gamma(m + 1) (|W| |x| +
|b|)`, and by `m tiny (1 + max|W| + max|x|)` where numbers below the normal range are flushed to
zero (Higham, Accuracy and Stability of Numerical Algorithms, ch. 3).
"""

UNIT = 2.0**-24  # float32: the largest relative error of one rounding
OWN_UNIT = 2.0**-53  # float64
TINY = 2.0**-126  # the smallest normal float32
LARGEST = 2.0**120  # of what the served network may sum: far below float32's overflow
SPARE = 1.0 + 2.0**-20  # pays for the rounding of sums of up to 2^30 errors


def gamma(terms: int) -> float:
    """Higham's gamma_n = n u / (1 - n u) of float32; infinite for sums too long to bound."""
    return terms * UNIT / (1.0 - terms * UNIT) if terms * UNIT < 0.5 else float("inf")


def own(terms: int) -> float:
    """A generous gamma_n of float64, for a few sums of so many terms, one after another."""
    return 4.0 * (terms + 16) * OWN_UNIT
