"""Foreign text (names, paths, what a library says of a file) on one line of a terminal."""

MOST = 2000  # characters


def one_line(text: str) -> str:
    """A text on one line: white space as blanks, what does not print as its code, no novels."""
    words = " ".join(text.split())
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in words)
    return shown if len(shown) <= MOST else f"{shown[:MOST]} ..."
