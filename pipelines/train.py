"""Trains, exports, certifies, attacks and reports: `python -m pipelines.train --flagfile=...`."""

import os
import sys

from absl import flags

from pipelines.console import (
    begin_output,
    console,
    import_tensorflow,
    one_line_errors,
    tell_next,
    terminal,
)
from pipelines.flags import run as ours
from pipelines.flags.parsing import fail, parse
from pipelines.flags.plugins import import_plugins
from pipelines.flags.read_phases import read_phases
from pipelines.runs.directory import STAGES, RunDirectory
from pipelines.runs.place import Place, here
from rt_tf.command_line import called

ABOUT = f"""Trains a certifiably robust image classifier, certifies and attacks it on the test
split, writes a report and exports a SavedModel. Killed, it goes on with the same command.

  {called("train")} --flagfile=configs/digits/ibp.cfg"""


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    argv = argv or sys.argv
    import_plugins(argv)
    values = flags.FLAGS
    groups = ours.training_groups(values)
    parse(argv, groups, ABOUT)
    if values.memory and not values.dry_run:
        fail(f"memory: expected none without --dry_run; received --memory={values.memory:g}")
    if not values.model_dir:
        fail("model_dir: expected --model_dir=<folder of the run>; received none")
    texts = ours.frozen(values, groups)
    begin_output(values.log_format, "train")
    with one_line_errors():
        if values.dry_run:
            read_phases(values)
            import_tensorflow()
            from pipelines.stages.plan import show_plan

            show_plan(values)
            return
        run, place = RunDirectory(values.model_dir), here(values.strategy)
        if place.number:
            follow(values, texts, run, place)
            return
        with run.locked():
            train_and_publish(values, texts, run, place)


def follow(
    values: flags.FlagValues, texts: dict[str, str], run: RunDirectory, place: Place
) -> None:
    """Trains beside the chief, which alone writes, and performs the other stages."""
    screen = console(values.quiet)
    run.compare(texts, values.accept_changed_flags)
    read_phases(values)
    if "train" in run.done():
        screen.print(f"{run.path} is trained: worker 0 does the rest")
        return
    import_tensorflow()
    from pipelines.stages import following

    following.follow(values, texts, run, place, screen)


def train_and_publish(
    values: flags.FlagValues, texts: dict[str, str], run: RunDirectory, place: Place
) -> None:
    """Performs the stages of a run that are not done; nothing is written before all is checked.

    place: of this process, the chief. Several processes train; it performs the other stages as a
    new process, for TensorFlow cannot leave the others.
    """
    begin_output(values.log_format, "train")
    screen = console(values.quiet)
    changed = run.compare(texts, values.accept_changed_flags)
    if set(STAGES) <= set(run.done()) and not changed:
        report = run.path / "report" / "report.html"
        line = f"{run.path} is finished: its report is in {report}"
        terminal(soft_wrap=True).tell("finished", line, run=run.path, report=report)
        return
    read_phases(values)
    began = f"{values.system}: {run.path}"
    screen.tell("begin", began, system=values.system, run=run.path)
    import_tensorflow()
    from pipelines.stages.course import perform, prepared

    anew = [stage for stage in STAGES if stage != "train"] if changed else []
    together = place.size > 1 and "train" not in run.done()
    course = prepared(values, texts, run, screen, anew, place if together else Place())
    if together:
        perform(course, ["train"])
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    perform(course)
    tell_next(screen, run.path, course.threat.has_support)


if __name__ == "__main__":
    main()
