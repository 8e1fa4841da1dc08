"""What the comparison of a network with the file it was made of says, in words."""

from collections.abc import Sequence

from rt_tf.reporting.record_file import Row


def comparison_text(comparisons: Sequence[Row]) -> str:
    """A sentence on how far a network is from its file.

    comparisons: of inputs of several kinds, each with the facts of `interchange.parity.Comparison`.
    """
    asked = ", ".join(f"{row['inputs']:,} {row['kind']}" for row in comparisons)
    worst = max(comparisons, key=lambda row: row["difference"])
    ties = sum(row["ties"] for row in comparisons)
    agree = f"all labels but {ties:,} agree, which rounding decides" if ties else "all labels agree"
    return (
        f"compared with the file on {asked}: {agree}; logits differ by at most "
        f"{worst['difference']:.2g} (of {worst['size']:.3g}, on {worst['kind']}), where rounding "
        f"explains up to {worst['rounding']:.2g}"
    )
