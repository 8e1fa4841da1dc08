"""One example's search: where it ends, in how many steps, and that failures prove nothing."""

import math

import numpy as np
import pytest

from rt_tf.certification.bracket import SMALLEST, Bracket, Start, Trial

TOLERANCE = 0.01
MARGINS = {  # functions of eps that fall to zero at 0.1
    "linear": lambda eps: 5.0 - 50.0 * eps,
    "steeper and steeper": lambda eps: 5.0 - 5.0 * (eps / 0.1) ** 3,
    "exploding": lambda eps: 6.0 - math.exp(math.log(6.0) * min(eps, 4.0) / 0.1),
    "flat, then lost": lambda eps: 5.0 if eps <= 0.1 else -100.0,
    "levelling off": lambda eps: 5.0 - 10.0 * eps / (0.1 + eps),
}


def searched(margin, start: Start, tolerance: float = TOLERANCE) -> Bracket:
    """A search to its end."""
    bracket = Bracket(start, tolerance)
    while (eps := bracket.next()) is not None:
        assert 0.0 < eps <= start.most
        assert bracket.low < eps < bracket.high
        assert len(bracket.trials) < 60, "no end"
        value = margin(eps)
        bracket.tell(Trial(eps, "bound", value, value > 0.0))
    return bracket


@pytest.mark.parametrize("name", MARGINS)
@pytest.mark.parametrize("guess", [0.001, 0.1, 0.5, math.inf, math.nan])
def test_it_ends_within_the_tolerance_below_the_root(name, guess):
    bracket = searched(MARGINS[name], Start(5.0, guess, 0.8))
    assert 0.1 * (1.0 - TOLERANCE) <= bracket.low <= 0.1 * (1.0 + 1e-9)
    assert len(bracket.trials) <= 21


@pytest.mark.parametrize("name", ["linear", "steeper and steeper", "levelling off"])
def test_smooth_margins_take_few_steps(name):
    """Wong's thesis: 5 to 6 Newton steps; a step of the kind used here needs no derivative."""
    assert len(searched(MARGINS[name], Start(5.0, 0.15, 0.8)).trials) <= 7


def test_ends_that_are_far_apart_are_halved_by_magnitude():
    """Where margins say nothing: first between the smallest eps there is and a failure."""
    bracket = Bracket(Start(-1.0, 0.8, 0.8), TOLERANCE)
    tried = []
    for _ in range(3):
        tried.append(bracket.next())
        bracket.tell(Trial(tried[-1], "bound", -1.0, certified=False))
    assert tried == pytest.approx([0.8, 0.8 * 2.0**-7, 0.8 * 2.0**-10.5])


def test_the_largest_eps_is_tried_and_ends_the_search():
    bracket = searched(MARGINS["linear"], Start(5.0, 0.02, 0.09))
    assert bracket.low == bracket.trials[-1].eps == 0.09


def test_a_certificate_of_another_bound_is_where_it_begins():
    bracket = searched(MARGINS["linear"], Start(5.0, 0.5, 0.8, certified=0.095))
    assert min(trial.eps for trial in bracket.trials) > 0.095
    assert searched(MARGINS["linear"], Start(5.0, 0.5, 0.8, certified=0.2)).low == 0.2


def test_what_fails_everywhere_has_no_radius():
    bracket = searched(lambda eps: -math.inf, Start(5.0, 0.1, 0.8))
    assert bracket.low == 0.0
    assert bracket.trials[-1].eps <= SMALLEST * 0.8
    assert searched(lambda eps: 1.0, Start(5.0, 0.1, 0.0)).trials == []


@pytest.mark.parametrize("seed", range(40))
def test_whatever_the_bound_answers_the_result_is_the_largest_certified_trial(seed):
    """Margins drawn at random: no monotonicity is assumed."""
    draw = np.random.default_rng(seed)
    values = draw.choice([-math.inf, -1.0, 0.0, 1e-3, 1.0, 50.0], 100)
    answers = iter(values)
    bracket = searched(lambda eps: next(answers), Start(float(draw.normal()), 0.3, 0.8), 1e-4)
    certified = [trial.eps for trial in bracket.trials if trial.certified]
    assert bracket.low == max(certified, default=0.0)
