"""The course of certify, evaluate and export: a command line, a run's network, its report."""

from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from pipelines.console import (
    begin_output,
    console,
    import_tensorflow,
    one_line_errors,
    refuse,
    tell_next,
    terminal,
)
from pipelines.flags.group import Group
from pipelines.flags.parsing import parse
from pipelines.flags.plugins import import_plugins
from pipelines.output import OUTPUT
from pipelines.runs import zoo
from pipelines.runs.external_network import run_flags_of

Makers = Sequence[Callable[[flags.FlagValues], Group]]
# Action: (RunSession, flags, progress). Judge: (RunSession, flags, report) -> a refusal or None.
Action = Callable[[Any, flags.FlagValues, Any], None]
Judge = Callable[[Any, flags.FlagValues, Any], str | None]


def run_command(
    argv: list[str], about: str, makers: Makers, action: Action, judge: Judge | None = None
) -> None:
    """Runs a command line; ends with one line where it is wrong, or where the judge refuses.

    about: the head of the help text. makers: of the groups of flags.
    """
    values = flags.FLAGS
    import_plugins(argv)
    parse(argv, [make(values) for make in makers], about)
    with one_line_errors():
        refusal = with_run(values, action, judge)
    if refusal is not None:
        refuse(refusal)


def with_run(values: flags.FlagValues, action: Action, judge: Judge | None = None) -> str | None:
    """Performs an action on the network of a run, and refreshes the run's report.

    judge: a function of the report; its refusal, if any, is returned.
    """
    zoo.place(values)
    run_flags = run_flags_of(values)
    import_tensorflow()
    from pipelines.progress import ConsoleProgress
    from pipelines.stages import publish
    from pipelines.stages.session import open_run

    begin_output(values.log_format, action.__name__)
    screen = console(values.quiet)
    with open_run(values, run_flags, screen) as session:
        with session.held_part(), publish.contradictions_as_errors(session.run):
            action(session, values, ConsoleProgress(screen))
        refusal = None
        OUTPUT.stage = "report"
        if session.alone():
            report = publish.report(session.run, session.dataset)
            refusal = judge(session, values, report) if judge else None
        else:
            line = "other processes are at work on this run: the last one writes its report"
            terminal(soft_wrap=True).print(line)
        if session.is_new:
            tell_next(screen, session.run.path, session.threat.has_support)
    return refusal
