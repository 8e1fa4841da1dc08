"""VNN-LIB files as boxes and clauses, in exact numbers."""

import itertools
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from rt_tf.errors import UserError
from rt_tf.interchange import results, vnnlib_file
from rt_tf.interchange.property import Clause, Property, inner, outer, rounded
from tests.interchange.files import robustness, vnnlib

ACAS = "(assert (<= Y_0 Y_1))\n(assert (<= Y_0 Y_2))"


def of(path: Path, condition: str, inputs: int = 2, outputs: int = 3) -> list[Property]:
    ends = [str(-i - 1) for i in range(inputs)], [f"{i}.5e-1" for i in range(inputs)]
    return vnnlib_file.read(vnnlib(path / "p.vnnlib", *ends, outputs, condition))


def rows(clause: Clause) -> list[tuple]:
    """(weights, offset) by row."""
    return [
        (row.astype(int).tolist(), offset)
        for row, offset in zip(clause.rows, clause.offsets, strict=True)
    ]


def test_a_classification_has_a_clause_for_every_other_class(tmp_path: Path) -> None:
    (result,) = of(tmp_path, robustness(1, 3))
    assert result.lower == (Fraction(-1), Fraction(-2))
    assert result.upper == (Fraction(1, 20), Fraction(3, 20))
    assert [rows(clause) for clause in result.clauses] == [[([-1, 1, 0], 0)], [([0, 1, -1], 0)]]


def test_assertions_hold_together(tmp_path: Path) -> None:
    (result,) = of(tmp_path, ACAS)
    assert [rows(clause) for clause in result.clauses] == [[([1, -1, 0], 0), ([1, 0, -1], 0)]]


@pytest.mark.parametrize(
    ("comparison", "wanted"),
    [
        ("(>= Y_0 3.9911256459)", ([-1, 0, 0], Fraction("-3.9911256459"))),
        ("(<= 1e-3 Y_2)", ([0, 0, -1], Fraction(-1, 1000))),
        ("(<= (+ Y_0 (* -2.0 Y_1) 1.5) (- Y_2 7))", ([1, -2, -1], Fraction(-17, 2))),
        ("(<= (* 0.1 Y_0) (* 0.3 Y_1))", ([1, -3, 0], 0)),
        ("(<= (- 2) (- Y_0))", ([1, 0, 0], 2)),
        ("(<= (- Y_0 Y_1 Y_2) .5)", ([1, -1, -1], Fraction(1, 2))),
        ("(<= (* 2 (+ Y_0 1) 3) Y_0)", ([1, 0, 0], Fraction(-6, 5))),
    ],
)
def test_comparisons_are_rows_of_whole_numbers(comparison, wanted, tmp_path: Path) -> None:
    (result,) = of(tmp_path, f"(assert {comparison})")
    assert [rows(clause) for clause in result.clauses] == [[wanted]]


def test_an_equality_is_two_rows(tmp_path: Path) -> None:
    (result,) = of(tmp_path, "(assert (= Y_0 Y_1))")
    assert rows(result.clauses[0]) == [([1, -1, 0], 0), ([-1, 1, 0], 0)]


def test_disjunctions_over_inputs_are_properties_of_their_own(tmp_path: Path) -> None:
    """Boxes that meet the common one, each with the clauses of the cases that share it."""
    left, right = "(<= X_0 -0.5)", "(>= X_0 -0.25)"
    cases = [f"(and {left} (<= Y_0 1))", f"(and {right} (<= Y_1 1))", f"(and {left} (<= Y_2 1))"]
    cases.append("(and (>= X_0 7) (<= Y_2 5))")  # beyond the common box
    properties = of(tmp_path, f"(assert (or {' '.join(cases)}))")
    assert [(p.lower[0], p.upper[0]) for p in properties] == [
        (-1, Fraction(-1, 2)),
        (Fraction(-1, 4), Fraction(1, 20)),
    ]
    assert [[rows(clause) for clause in p.clauses] for p in properties] == [
        [[([1, 0, 0], 1)], [([0, 0, 1], 1)]],
        [[([0, 1, 0], 1)]],
    ]


def test_disjunctions_multiply(tmp_path: Path) -> None:
    """Which outputs are in some clause, against the formula itself."""
    first, second = "(or (<= Y_0 0) (<= Y_1 0))", "(or (<= Y_2 0) (and (>= Y_0 1) (>= Y_1 1)))"
    (result,) = of(tmp_path, f"(assert {first})\n(assert {second})")
    assert len(result.clauses) == 4
    for y in itertools.product([-1.0, 0.0, 0.5, 1.0, 2.0], repeat=3):
        allowed = (y[0] <= 0 or y[1] <= 0) and (y[2] <= 0 or (y[0] >= 1 and y[1] >= 1))
        assert any(clause.holds(np.float32(y)) for clause in result.clauses) == allowed


def test_cases_that_others_imply_are_left_out(tmp_path: Path) -> None:
    """(a or b0) and (a or b1) and ... has 2^40 cases, and is a or all of b."""
    choices = [f"(or (>= Y_0 1) (>= Y_1 {k}))" for k in range(40)]
    (result,) = of(tmp_path, f"(assert (and {' '.join(choices)}))")
    assert [rows(clause) for clause in result.clauses] == [[([-1, 0, 0], -1)], [([0, -1, 0], -39)]]


def test_too_many_cases_are_refused_before_they_are_made(tmp_path: Path) -> None:
    """Each by a row of its own, so that none implies another; in one assertion and in many."""
    choices = [f"(or (>= (+ Y_0 (* {k} Y_2)) 1) (>= (+ Y_1 (* {k} Y_2)) 1))" for k in range(40)]
    several = "\n".join(f"(assert {choice})" for choice in choices)
    for condition in (f"(assert (and {' '.join(choices)}))", several):
        began = time.process_time()
        with pytest.raises(UserError, match="at most 100000 cases; received 131072"):
            of(tmp_path, condition)
        assert time.process_time() - began < 5.0


def test_boxes_without_end_are_refused_before_they_are_made(tmp_path: Path) -> None:
    """16,384 boxes of 2,500 inputs, from one line for each of fourteen inputs."""
    choices = [f"(assert (or (<= X_{i} -0.5) (>= X_{i} 0)))" for i in range(14)]
    with pytest.raises(UserError, match="at most 20000000 ends of boxes; received 20005000"):
        of(tmp_path, "\n".join([*choices, "(assert (<= Y_0 1))"]), inputs=2500)


def test_a_common_box_is_made_once_for_all_cases(tmp_path: Path) -> None:
    """Single boxes differ from it where they are tighter, and nowhere else."""
    cases = ["(and (<= X_1 -1) (<= Y_0 1))", "(and (<= X_1 9) (<= Y_1 1))"]
    cases += ["(and (>= X_0 -0.5) (<= X_0 0) (<= Y_2 1))", "(and (>= X_0 -7) (<= Y_0 2))"]
    properties = of(tmp_path, f"(assert (or {' '.join(cases)}))")
    assert [each.lower for each in properties] == [(-1, -2), (-1, -2), (Fraction(-1, 2), -2)]
    wanted = [(Fraction(1, 20), -1), (Fraction(1, 20), Fraction(3, 20)), (0, Fraction(3, 20))]
    assert [each.upper for each in properties] == wanted
    assert [len(each.clauses) for each in properties] == [1, 2, 1]


def test_sums_may_be_nested_deeply(tmp_path: Path) -> None:
    (result,) = of(tmp_path, f"(assert (>= {'(+ Y_0 ' * 3000}1{')' * 3000} 4))")
    assert [rows(clause) for clause in result.clauses] == [[([-1, 0, 0], Fraction(-1, 1000))]]


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("(+ Y_0 " * 20_000 + "1" + ")" * 20_000, "nested at most 10000 deep; received 20002"),
        ("(* (+ 1 Y_0) (- " * 4000 + "1" + "))" * 4000, "nested less deeply than in"),
        ("." + "1" * 200_000, r"numbers of at most 4000 digits; received one of 200002, 0\.1111"),
    ],
)
def test_what_is_too_deep_or_too_long_is_told_in_one_line(expression, words, tmp_path) -> None:
    with pytest.raises(UserError, match=words) as caught:
        of(tmp_path, f"(assert (>= {expression} 1))")
    assert len(str(caught.value)) < 400


def test_version_2_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "p.vnnlib").write_text(
        "(vnnlib-version <2.0>)\n(declare-network N (declare-input X float32 [1, 2])"
        " (declare-output Y float32 [1, 2]))\n(assert (and (<= X[0, 0] 1.0) (>= X[0, 0] 0.5)))\n"
        "(assert (== X[0, 1] 0.1))\n(assert (<= Y[0, 1] Y[0, 0]))"
    )
    (result,) = vnnlib_file.read(tmp_path / "p.vnnlib")
    assert result[:2] == ((Fraction(1, 2), Fraction(1, 10)), (1, Fraction(1, 10)))
    assert rows(result.clauses[0]) == [([-1, 1], 0)]


@pytest.mark.parametrize(
    ("condition", "words"),
    [
        ("(assert (<= X_0 Y_0))", "constraints of inputs one by one; received one of 2 variables"),
        ("(assert (<= (* Y_0 Y_1) 1))", "a product of variables"),
        ("(assert (< Y_0 1))", "expected <=, >= or ==; received"),
        ("(assert (<= (* 0.123456789 Y_0) Y_1))", "weights of outputs that float32 holds"),
        ("", "expected constraints of outputs"),
        ("(assert (<= Y_0 1)", "expected VNN-LIB; .*p.vnnlib is not: .*"),
        ("(assert (<= Y_7 1))", "expected VNN-LIB; .*Index 7 is out of bounds"),
        ("(assert (<= Y_0 1e400))", "numbers in float64's range; received 1e400"),
        ("(assert (<= Y_0 -.1e-320))", "numbers in float64's range; received -.1e-320"),
        ("(assert (<= Y_0 1e99999999999))", "float64's range; received 1e99999999999"),
        ("(assert (<= Y_0 1e40))", r"constraints of outputs.* float32's range; received 1.*e\+40"),
        ("(assert (<= (* 1e-30 Y_0) -1e300))", r"float32's range; received -1.*e\+330"),
    ],
)
def test_what_is_of_another_form_is_refused(condition, words, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=words) as caught:
        of(tmp_path, condition)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("end", ["1e40", "3.4028235e38"])
def test_ends_beyond_float32_are_refused(end: str, tmp_path: Path) -> None:
    for lower, upper in ((f"-{end}", "0"), ("0", end)):
        path = vnnlib(tmp_path / "p", [lower], [upper], 1, "(assert (<= Y_0 1))")
        with pytest.raises(
            UserError, match=r"expected ends of X_0 in float32's range; received -?\d"
        ):
            vnnlib_file.read(path)


def test_ends_up_to_the_largest_of_float32_are_read(tmp_path: Path) -> None:
    ends = ["-3.4028234e38", "-0.0e-99999999999"], ["3.4028234e38", "2.3e-308"]
    (result,) = vnnlib_file.read(vnnlib(tmp_path / "p", *ends, 1, "(assert (<= Y_0 1e38))"))
    assert np.isfinite([result.outer(), result.inner()]).all()
    assert result.lower[1] == 0


def test_numbers_beyond_float64_are_refused_in_version_2(tmp_path: Path) -> None:
    (tmp_path / "p.vnnlib").write_text(
        "(vnnlib-version <2.0>)\n(declare-network N (declare-input X float32 [1])"
        f" (declare-output Y float32 [1]))\n(assert (<= Y[0] 1{'0' * 400}.0))"
    )
    with pytest.raises(UserError, match=r"numbers in float64's range; .*p.vnnlib has others"):
        vnnlib_file.read(tmp_path / "p.vnnlib")


def test_inputs_without_ends_are_refused(tmp_path: Path) -> None:
    path = vnnlib(tmp_path / "p.vnnlib", ["0"], ["1"], 1, "(assert (<= Y_0 1))")
    path.write_text(path.read_text().replace("(assert (>= X_0 0))", ""))
    with pytest.raises(UserError, match="a lower and an upper end .*; received none of X_0"):
        vnnlib_file.read(path)
    path.write_text("(declare-const X_0 Real)\n(declare-const X_2 Real)")
    with pytest.raises(UserError, match=r"expected declarations of X_0, X_1, .*received X_0, X_2"):
        vnnlib_file.read(path)


def test_ends_are_rounded_to_the_side_that_is_asked() -> None:
    """The neighbours in float32 on either side, judged by exact fractions."""
    random = np.random.default_rng(0)
    numbers = [Fraction(str(x)) for x in random.standard_normal(200)]
    numbers += [
        Fraction(0),
        Fraction(1, 3),
        Fraction(1, 2),
        Fraction(16777217),
        Fraction(1, 10**50),
    ]
    for number in numbers:
        below, above = (Fraction(float(rounded(number, side))) for side in (-1, 1))
        assert below <= number <= above
        up = Fraction(float(np.nextafter(np.float32(float(below)), np.float32(np.inf))))
        assert above == (below if below == number else up)


def test_outer_ends_hold_the_box_and_inner_ends_are_in_it() -> None:
    ends = (Fraction(1, 10), Fraction(1, 3), Fraction(1, 10**40))
    narrow = Property(ends, (Fraction(1, 10), Fraction(2, 3), Fraction(2, 10**40)), ())
    for (low, high), lower, upper in zip(
        np.transpose(narrow.outer()), narrow.lower, narrow.upper, strict=True
    ):
        assert Fraction(float(low)) <= lower <= upper <= Fraction(float(high))
    low, high = narrow.inner()
    assert low[0] == high[0] == np.float32(0.1)  # what a network reads of 0.1
    assert ends[1] <= Fraction(float(low[1])) <= Fraction(float(high[1])) <= Fraction(2, 3)
    assert narrow.point(low)[0] == Fraction(1, 10)
    assert narrow.point(low)[1] == Fraction(float(low[1]))


def test_ends_of_many_boxes_are_those_of_each() -> None:
    random = np.random.default_rng(1)
    numbers = [Fraction(str(x)) for x in random.standard_normal(12)]
    boxes = [Property(tuple(numbers[i : i + 4]), tuple(numbers[-4:]), ()) for i in range(4)]
    for rounding, one in ((outer, Property.outer), (inner, Property.inner)):
        np.testing.assert_array_equal(np.stack(rounding(boxes), 1), [one(box) for box in boxes])


def test_results_are_exact_decimals() -> None:
    point = (Fraction(1, 10), Fraction(float(np.float32(0.3))))
    text = results.text("sat", point, np.float32([1.5, -2e-7]))
    answer, *pairs = text.replace("(", "").replace(")", "").split("\n")[:-1]
    assert answer == "sat"
    names, values = zip(*(pair.split() for pair in pairs), strict=True)
    assert names == ("X_0", "X_1", "Y_0", "Y_1")
    assert [Fraction(Decimal(v)) for v in values] == [*point, 1.5, float(np.float32(-2e-7))]
    assert text.count("(") == text.count(")") == 5
    assert results.text("unknown") == "unknown\n"
