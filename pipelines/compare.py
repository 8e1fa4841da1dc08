"""Compares finished runs: `python -m pipelines.compare runs/a runs/b ...`."""

import sys
from typing import Any

from absl import flags

from pipelines.console import import_tensorflow, one_line_errors
from pipelines.flags.group import Group
from pipelines.flags.kinds import OneOf, positive
from pipelines.flags.parsing import fail, parse_with_others
from pipelines.flags.run import OPERATIONAL
from rt_tf.command_line import called
from rt_tf.errors import UserError
from rt_tf.files import write_text
from rt_tf.folders import writable

ABOUT = f"""Compares finished runs on the test images that all of them have records of: a row for
each system, several seeds of one as mean and standard deviation. Prints a table; with --html also
writes one page with accuracy against radius and the courses of training.

  {called("compare")} runs/digits/ibp runs/digits/crown_ibp
  {called("compare")} runs/a-seed0 runs/a-seed1 runs/b --epsilon=0.05,0.1 --format=latex
  {called("compare")} runs/* --html=comparison.html"""

FORMATS = ("markdown", "csv", "latex")


def compare_group(values: flags.FlagValues) -> Group:
    """The flags of a comparison."""
    group = Group("Comparison", values)
    about = "Radii, a comma list; those that the runs were made for, if not given."
    group.phases("epsilon", positive, None, about)
    group.one("format", OneOf(FORMATS), "markdown", "The form of the table.")
    group.text("html", None, "A file for the page. Not given: none.")
    return group


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    values = flags.FLAGS
    values.set_gnu_getopt(True)  # flags may follow the folders
    _, folders = parse_with_others(argv or sys.argv, [compare_group(values)], ABOUT)
    if len(folders) < 2:
        fail(f"runs: expected two folders of runs or more; received {' '.join(folders) or 'none'}")
    with one_line_errors(goes_on=False):
        compare(folders, values)


def compare(folders: list[str], values: Any) -> None:
    """Prints the table, and writes the page if one is wanted."""
    page_file = writable(values.html, "html") if values.html else None
    if page_file is not None and page_file.is_dir():
        raise UserError(f"html: expected a file; received the folder {page_file}")
    import_tensorflow()
    from rt_tf.reporting.comparison import comparing, page, tables

    comparison = comparing.compare(folders, values.epsilon, OPERATIONAL)
    text = tables.FORMATS[values.format](comparison)
    if page_file is not None:
        write_text(page_file, page.page(comparison))
    print(text)
    if values.format == "csv":  # the other forms hold the notes
        print(*comparison.notes, sep="\n", end="\n" if comparison.notes else "", file=sys.stderr)


if __name__ == "__main__":
    main()
