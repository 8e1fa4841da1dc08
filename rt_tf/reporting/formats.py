"""Words for rates, times and comparisons, and foreign text made harmless."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from rich.text import Text

from rt_tf.exactly import exactly
from rt_tf.records.record_file import Row

SPECIAL = re.compile(r"[\\`*_{}\[\]<>|#~&!]")
DASH = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"


def percent(rate: Row | None) -> str:
    """A rate with the digits its sample size supports, never rounded up to 100 %: `91.9 %`."""
    if rate is None:
        return DASH
    return f"{share_text(rate['rate'], rate['n'])} %"


def interval(rate: Row | None) -> str:
    """A rate's 95 % confidence interval: `88.6-94.5 %`."""
    if rate is None:
        return DASH
    low, high = (share_text(rate[key], rate["n"]) for key in ("low", "high"))
    return f"{low}{DASH}{high} %"


def duration(seconds: float | None) -> str:
    """Seconds as a text in ms, s or min by their size: `3.2 ms`, `41 s`, `12 min`."""
    if seconds is None:
        return DASH
    if seconds < 0.9995:  # which is 1 s in three digits
        return f"{1000 * seconds:.3g} ms"
    return f"{seconds:.3g} s" if seconds < 300 else f"{seconds / 60:.3g} min"


def short(rate: Row | None) -> Text:
    """A rate and its interval without units: `91.9 (88.6-94.5)`."""
    if rate is None:
        return Text(DASH)
    value, low, high = (share_text(rate[key], rate["n"]) for key in ("rate", "low", "high"))
    return Text.assemble(value, (f" ({low}{DASH}{high})", "dim"))


def in_words(value: object) -> str:
    """A setting in words: lists with commas, yes and no, a dash for none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(in_words, value)) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name} {in_words(item)}" for name, item in value.items()) or "none"
    if isinstance(value, float):
        return exactly(value)
    return DASH if value is None else str(value)


def points(share: float) -> str:
    """A difference of rates in percentage points: `0.5 points`."""
    return f"{100 * share:g} points"


def detail(rate: Row | None) -> str:
    """A rate's interval and sample size: `88.6-94.5 %, n 360`."""
    return "" if rate is None else f"{interval(rate)}, n {rate['n']:,}"


def cell(rate: Row | None) -> str:
    """A rate with its interval and sample size: `91.9 % (88.6-94.5 %, n 360)`."""
    return DASH if rate is None else f"{percent(rate)} ({detail(rate)})"


def share_text(value: float, n: int) -> str:
    """A share of n in percent without its sign, so exact that n - 1 of n is not called 100."""
    decimals = max(1, math.ceil(math.log10(n)) - 2)
    return f"{100 * value:.{decimals}f}"


def comparison_text(comparisons: Sequence[Row]) -> str:
    """A sentence on the difference between a network and its file.

    comparisons: of inputs of several kinds, each with the fields of
    `interchange.parity.Comparison`.
    """
    kinds = ", ".join(f"{row['inputs']:,} {row['kind']}" for row in comparisons)
    worst = max(comparisons, key=lambda row: row["difference"])
    ties = sum(row["ties"] for row in comparisons)
    agree = f"all labels but {ties:,} agree, which rounding decides" if ties else "all labels agree"
    return (
        f"compared with the file on {kinds}: {agree}; logits differ by at most "
        f"{worst['difference']:.2g} (of {worst['size']:.3g}, on {worst['kind']}), where rounding "
        f"explains up to {worst['rounding']:.2g}"
    )


def plain(text: str) -> str:
    """The text on one line, with markup and HTML escaped."""
    return SPECIAL.sub(lambda match: f"\\{match[0]}", " ".join(text.split()))


def code(text: str) -> str:
    """The text on one line as code: between more backticks than it has in a row."""
    words = " ".join(text.split())
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", words)), default=0))
    return f"{fence} {words} {fence}" if "`" in words else f"{fence}{words}{fence}"
