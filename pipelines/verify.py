"""Decides a VNN-LIB property of an ONNX network: `python -m pipelines.verify --onnx_file=...`."""

import sys
from pathlib import Path
from typing import Any

from absl import flags

from pipelines.console import one_line_errors
from pipelines.flags.cluster import cluster_group
from pipelines.flags.group import Group
from pipelines.flags.kinds import ANY, whole, within
from pipelines.flags.parsing import parse
from pipelines.runs.supervised import started
from pipelines.stages import verifying
from pipelines.stages.instances import decide_all
from rt_tf.command_line import called
from rt_tf.errors import UserError

ABOUT = f"""Decides whether a network has the property of a VNN-LIB file, as VNN-COMP asks: prints
unsat (no input of the file's box gives outputs that the file describes: proved in sound
arithmetic), sat (with such an input), unknown or timeout. `pip install -e '.[vnn]'` brings what it
needs.

  {called("verify")} --onnx_file=net.onnx --vnnlib_file=prop.vnnlib --time_limit=60
  {called("verify")} --instances=instances.csv --results_file=answers.jsonl --cluster=local:4
"""


def verify_group(values: flags.FlagValues) -> Group:
    """The flags of the question, the time limit and the answer's file."""
    group = Group("Verification", values)
    group.text("onnx_file", None, "The network.")
    group.text("vnnlib_file", None, "The property, in VNN-LIB 1.0 or 2.0; .gz is read, too.")
    group.one("time_limit", within(0.0, ANY), 60.0, "Seconds, from the start of the command.")
    about = "A list of VNN-COMP's instead: network, property and seconds in each line, by commas."
    group.text("instances", None, about)
    about = (
        "A file for the answer in VNN-COMP's format, the input of a `sat` included; with "
        "--instances for a line of JSON each, after which the same command goes on."
    )
    group.text("results_file", None, about)
    group.one("seed", whole(0, 2**32 - 1), 0, "Seed of the attack's random starts.")
    return group


def main(argv: list[str] | None = None) -> None:
    """The entry point."""
    began = started()
    values = flags.FLAGS
    parse(argv or sys.argv, [verify_group(values), cluster_group(values)], ABOUT)
    with one_line_errors(goes_on=bool(values.instances)):
        if values.instances:
            _decide_all(values)
            return
        if values.cluster:
            raise UserError(
                "cluster: expected --instances=<list>, whose lines it shares; received none"
            )
        paths = {name: _existing(values, name) for name in ("onnx_file", "vnnlib_file")}
        end = began + values.time_limit
        verifying.verify(**paths, results=_results(values), end=end, seed=values.seed)


def _decide_all(values: Any) -> None:
    """Decides the properties of a list. Their own lines say how long each may take."""
    named = [f"--{name}" for name in ("onnx_file", "vnnlib_file") if values[name].value]
    if named:
        raise UserError(f"instances: expected a list alone; received {' and '.join(named)}, too")
    if values["time_limit"].present:
        raise UserError(
            "time_limit: expected none with --instances, whose lines have each its own; received "
            f"{values.time_limit:g}"
        )
    results = _results(values)
    if results is None:
        raise UserError(
            "results_file: expected --results_file=<file for the answers>; received none"
        )
    decide_all(_existing(values, "instances"), results, values.cluster, values.seed)


def _existing(values: Any, name: str) -> Path:
    if not values[name].value:
        raise UserError(f"{name}: expected --{name}=<file>; received none")
    path = Path(values[name].value)
    if not path.is_file():
        raise UserError(f"{name}: expected a file; there is no file {path}")
    return path


def _results(values: Any) -> Path | None:
    path = Path(values.results_file) if values.results_file else None
    if path and path.is_dir():
        raise UserError(f"results_file: expected a file; received the folder {path}")
    return path


if __name__ == "__main__":
    main()
