"""Searches flags for the best validation accuracy: `python -m pipelines.tune --space=...`."""

import sys
from typing import Any

from absl import flags

from pipelines.console import begin_output, console, import_tensorflow, one_line_errors
from pipelines.flags import run as ours
from pipelines.flags.cluster import cluster_group
from pipelines.flags.group import Group
from pipelines.flags.help import listed
from pipelines.flags.kinds import OneOf, whole
from pipelines.flags.parsing import fail, parse
from pipelines.flags.plugins import import_plugins
from pipelines.flags.read_phases import read_phases
from pipelines.flags.space import OBJECTIVES, TUNERS, read_space
from pipelines.runs.directory import RunDirectory
from rt_tf.command_line import called

ABOUT = f"""Trains a system again and again, with values of some of its flags that keras-tuner
chooses, and keeps the flags of the best validation accuracy. The test split is not looked at.
Killed, it goes on with the same command; a trial that fails prints a line, and the search goes on.

  {called("tune")} --flagfile=configs/digits/ibp.cfg --model_dir=runs/digits/search \\
      --space=configs/digits/space.json --trials=10

A space is a JSON file: a flag's name, and keras-tuner's settings of its possible values:
  {{"learning_rate": {{"kind": "float", "min_value": 1e-4, "max_value": 1e-2, "sampling": "log"}},
   "batch_size": {{"kind": "int", "min_value": 50, "max_value": 200, "step": 50}},
   "ramp": {{"kind": "choice", "values": ["linear", "smooth"]}},
   "batch_norm": {{"kind": "boolean"}}}}"""


def tune_group(values: flags.FlagValues) -> Group:
    """The flags of the search."""
    group = Group("Search", values)
    group.text("space", None, "A JSON file of flags and their possible values.")
    group.one("trials", whole(1), 20, "Trials in all, those of an interrupted search included.")
    group.one("tuner", OneOf(TUNERS), "bayesian", listed(TUNERS))
    about = (
        "Validation accuracy that is to be high; auto: that of --select_by, else training's aim."
    )
    group.one("objective", OneOf(OBJECTIVES), "auto", about)
    return group


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    argv = argv or sys.argv
    import_plugins(argv)
    values = flags.FLAGS
    groups = [tune_group(values), cluster_group(values), *ours.training_groups(values)]
    parse(argv, groups, ABOUT)
    if values.dry_run or values.accept_changed_flags:
        fail("tune: expected neither --dry_run nor --accept_changed_flags: they are for one run")
    if values.memory:
        fail(
            f"memory: expected none, as there is no --dry_run; received --memory={values.memory:g}"
        )
    for name in ("model_dir", "space"):
        if not values[name].value:
            fail(f"{name}: expected --{name}=<{'folder' if name == 'model_dir' else 'file'}>")
    begin_output(values.log_format, "tune")
    with one_line_errors():
        tune(values, ours.frozen(values, groups[2:]))


def tune(values: Any, texts: dict[str, str]) -> None:
    """Searches, or goes on searching; prints the trials and writes the best one's flags."""
    space = read_space(values.space, values)
    search = {"tuner": values.tuner, "objective": values.objective, "space": space.text}
    study = RunDirectory(values.model_dir)
    with study.locked():
        study.compare({**texts, **search}, accept_changes=False, acceptable=False)
        read_phases(values)
        import_tensorflow()
        from pipelines.stages.tuning import Search

        searching = Search(values, texts, space, study, console(values.quiet))
        study.freeze({**texts, **search})
        searching.run()


if __name__ == "__main__":
    main()
