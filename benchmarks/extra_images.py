"""Images without labels, to be pseudo-labelled: those that a run on a part of MNIST leaves out.

    python -m benchmarks.extra_images --data_dir=<your TFDS folder> [--count=10000] [FILE]

Writes an .npz file with `images` for --extra_data, by default runs/extra_images.npz: the last ones
of the 59,000 that --validation=59000 and --seed hold out of the training split. A run with that
split is judged by the first ones (--monitor_samples).
"""

import argparse
from pathlib import Path

import numpy as np

from pipelines.console import one_line_errors
from rt_tf import data


def main() -> None:
    """The entry point."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?", type=Path, default=Path("runs/extra_images.npz"))
    parser.add_argument("--data_dir", help="folder with prepared TFDS data sets")
    parser.add_argument("--count", type=int, default=10_000, help="how many")
    parser.add_argument("--seed", type=int, default=0, help="of the run they are for")
    arguments = parser.parse_args()
    with one_line_errors():
        dataset = data.load("mnist", arguments.data_dir, 59_000, arguments.seed)
    held_out = dataset.validation.rows[-arguments.count :]
    arguments.file.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(arguments.file, images=held_out)
    print(f"{len(held_out):,} images in {arguments.file}")


if __name__ == "__main__":
    main()
