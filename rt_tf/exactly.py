"""Numbers as words that read back as the same numbers, and as no other ones."""

import math

GREY = 255  # levels above black of most images
LONG = 8  # characters from which on a number of grey levels is the better word


def exactly(value: float) -> str:
    """A number in the fewest digits that read back as it: `0.1`, `0.0999999999`, `1`."""
    return repr(float(value)).removesuffix(".0")


def radius_text(eps: float) -> str:
    """A radius in the form of flags: its digits, or `8/255` where that is equal and shorter."""
    text, levels = exactly(eps), round(eps * GREY) if math.isfinite(eps) else 0
    if len(text) > LONG and 0 < levels <= GREY and levels / GREY == eps:
        return f"{levels}/{GREY}"
    return text
