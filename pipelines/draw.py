"""Draws networks in the plane: `python -m pipelines.draw --model_dir=... --out=...`."""

import sys
from typing import Any

from absl import flags

from pipelines.console import begin_output, console, import_tensorflow, one_line_errors, terminal
from pipelines.flags.group import Group
from pipelines.flags.kinds import whole
from pipelines.flags.parsing import fail, parse
from pipelines.flags.plugins import import_plugins
from pipelines.flags.run import run_group
from pipelines.runs.directory import trained_flags
from rt_tf.command_line import called
from rt_tf.folders import writable

ABOUT = f"""Draws networks in the plane (Wong 2020, thesis, figures 3.3 to 3.5): the decision
regions of runs on points; the outputs that a run reaches from the box around a point, and outer
bounds of them; reached outputs and outer bounds of random networks. Prints how much larger the
outer bounds are.

  {called("draw")} --model_dir=runs/points/provable --compare=runs/points/natural --out=docs
"""

WIDTH = 140


def draw_group(values: flags.FlagValues) -> Group:
    """The flags of the pictures and of their place."""
    group = Group("Figures", values)
    group.text("compare", None, "The directory of a second run on the same data, drawn beside it.")
    group.text("out", None, "Folder for plane-regions.png, plane-trained.png, plane-random.png.")
    group.one("point", whole(0), 0, "The test point, from 0, whose box the runs are bounded on.")
    group.one("resolution", whole(2, 2000), 300, "Inputs tried along either side of a square.")
    about = "Directions in which outputs are bounded: corners that a polygon has at most."
    group.one("directions", whole(3, 10000), 64, about)
    group.one("networks", whole(1, 6), 3, "Random networks.")
    return group


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    argv = argv or sys.argv
    import_plugins(argv)
    values = flags.FLAGS
    parse(argv, [run_group(values), draw_group(values)], ABOUT)
    if not values.out:
        fail("out: expected --out=<folder for the pictures>; received none")
    begin_output(values.log_format, "draw")
    with one_line_errors(goes_on=False):
        draw(values)


def draw(values: Any) -> None:
    """Writes the pictures, and prints the table."""
    writable(values.out, "out")
    directories = [values.model_dir, *([values.compare] if values.compare else [])]
    runs = {directory: trained_flags(directory) for directory in directories}
    import_tensorflow()

    from pipelines.stages import drawing

    drawn = drawing.draw(runs, values, console(values.quiet))
    terminal(width=WIDTH).print(drawing.table(drawn))


if __name__ == "__main__":
    main()
