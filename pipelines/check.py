"""Checks files of proofs without TensorFlow: `python -m pipelines.check --proofs=<folder>`."""

import sys

from absl import flags

from pipelines.console import begin_output, one_line_errors
from pipelines.flags.group import Group
from pipelines.flags.kinds import whole
from pipelines.flags.output import output_flags
from pipelines.flags.parsing import fail, parse
from pipelines.stages.checked import NETWORK, PROOFS
from rt_tf.command_line import called

ABOUT = f"""Checks the certificates of which a run has stored proofs, by another program than the
one that made them, which computes with NumPy alone, from two files (docs/proofs.md). The exit
status is 1 if any certificate does not hold.

  {called("check")} --proofs=runs/digits/ibp/proofs
  {called("check")} --proofs=proofs.npz --network=network.npz --samples=100
"""


def check_group(values: flags.FlagValues) -> Group:
    """The flags of a check."""
    group = Group("Check", values)
    about = f"A file of proofs, or a folder with {PROOFS} in it or in its folders."
    group.text("proofs", None, about)
    about = f"The file of their network (default: {NETWORK} beside the proofs, or above)."
    group.text("network", None, about)
    about = "A file that takes each verdict as it comes; the same command goes on from there."
    group.text("results", None, about)
    group.one("samples", whole(0), 0, "How many certificates of each file, from the first; 0: all.")
    output_flags(group)
    return group


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    values = flags.FLAGS
    parse(argv or sys.argv, [check_group(values)], ABOUT)
    if values.proofs is None:
        fail("flags: expected --proofs=<folder or file>; received none")
    begin_output(values.log_format, "check")
    with one_line_errors(goes_on=values.results is not None):
        from pipelines.stages.checking import check_files

        raise SystemExit(check_files(values))


if __name__ == "__main__":
    main()
