"""Training beside the chief of several processes."""

import os
import sys

from absl import flags

from pipelines.assembly import devices, inputs
from pipelines.output import Terminal
from pipelines.progress import ConsoleProgress
from pipelines.runs.directory import RunDirectory
from pipelines.runs.place import Place
from pipelines.stages import training
from pipelines.stages.together import refuse_others, stopping_together


def follow(
    values: flags.FlagValues,
    texts: dict[str, str],
    run: RunDirectory,
    place: Place,
    screen: Terminal,
) -> None:
    """Trains beside the chief of several processes, and writes nothing; ends this process.

    texts: the flags, which must be the chief's.
    """
    strategy = devices.strategy(values.strategy, values.jit_compile, place)
    devices.prepare_tensorflow(values.seed, values.deterministic)
    dataset = inputs.load_data(values, ConsoleProgress(screen))
    loop = training.checked_loop(values, dataset, run.path, strategy)
    refuse_others(loop.workers, texts, dataset)
    with stopping_together(loop):
        loop.run()
    screen.print(f"{run.path} is trained: worker 0 does the rest")
    sys.stdout.flush()
    os._exit(0)  # TensorFlow would wait for the chief, which goes on as another process
