"""A network of the zoo as the network of a run, `--model_dir=zoo:mnist/goal_01`."""

import json

from absl import flags

from pipelines.runs.directory import RunDirectory
from rt_tf import zoo
from rt_tf.command_line import called
from rt_tf.errors import UserError

PLACE = "runs/zoo"  # of runs around networks of the zoo, in the working folder


def place(values: flags.FlagValues) -> None:
    """Sets the flags of a run around the network that `--model_dir=zoo:...` names, if it does.

    The network comes with its data set, its threat and its radius; flags that are given win. The
    run is in `runs/zoo`. UserError for an unknown network, and for a command that makes no runs.
    """
    if not (values.model_dir or "").startswith(zoo.PREFIX):
        return
    name = values.model_dir.removeprefix(zoo.PREFIX)
    folder = zoo.folder(name)
    values.model_dir = f"{PLACE}/{name}"
    if "keras_file" not in values:
        if not RunDirectory(values.model_dir).has_network():
            raise UserError(
                f"model_dir: expected a run around {zoo.PREFIX}{name}, which "
                f"{called('certify')} --model_dir={zoo.PREFIX}{name} makes; there is none"
            )
        return
    report = json.loads((folder / "report" / "report.json").read_text())
    (main,) = (q for q in report["questions"] if q["name"] == report["main"])
    values.keras_file = str(folder / "best" / "network.keras")
    for flag, value in (("dataset", report["data"]["name"]), ("threat", main["threat"])):
        if not values[flag].present:
            values[flag].value = value
    if values.epsilon is None:
        values["epsilon"].parse(repr(main["epsilon"]))
