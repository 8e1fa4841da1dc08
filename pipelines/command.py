"""The course of certify, evaluate and export: a command line, a run's network, its report."""

from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from pipelines.console import console, import_tensorflow, one_line_errors, refuse, tell_next
from pipelines.flags.parsing import Group, parse
from pipelines.runs.external_network import run_flags_of

Makers = Sequence[Callable[[flags.FlagValues], Group]]
Action = Callable[
    [Any, flags.FlagValues, Any], None
]  # pipelines.stages.session.Finished, flags, console
Judge = Callable[[Any, flags.FlagValues, Any], str | None]  # the same, and the report: a refusal


def run_command(
    argv: list[str], about: str, makers: Makers, action: Action, judge: Judge | None = None
) -> None:
    """Answers a command line; ends with one line where it is wrong, or is refused by the judge."""
    values = flags.FLAGS
    parse(argv, [make(values) for make in makers], about)
    with one_line_errors():
        refusal = with_run(values, action, judge)
    if refusal is not None:
        refuse(refusal)


def with_run(values: flags.FlagValues, action: Action, judge: Judge | None = None) -> str | None:
    """Does something with the network of a run, and refreshes the run's report.

    judge: looks at the report; what it refuses is returned.
    """
    asked = run_flags_of(values)
    import_tensorflow()
    from pipelines.stages import publish, session

    screen = console(values.quiet)
    with session.open_run(values, asked, screen) as found:
        action(found, values, screen)
        refusal = None
        if found.alone():
            report = publish.report(found.run, found.dataset, screen)
            refusal = judge(found, values, report) if judge else None
        else:
            print("other processes are at work on this run: the last one writes its report")
        if found.is_new:
            tell_next(screen, found.run.path, found.threat.has_support)
    return refusal
