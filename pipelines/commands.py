"""The script `rt-tf`: a command's name, and its flags. Imports no TensorFlow."""

import importlib
import sys

import rt_tf
from pipelines.flags.parsing import fail, until_unread
from rt_tf.command_line import SCRIPT

COMMANDS = {
    "train": "Trains a classifier, certifies and attacks it, writes a report and exports it.",
    "certify": "Certifies the test images of a run, or of a network of your own.",
    "evaluate": "Attacks the test images of a run, by a suite or a single attack.",
    "radius": "Searches the largest certified radius of each test image of a run.",
    "export": "Exports the SavedModel of a run, with a verdict if a bar is set.",
    "compare": "Compares runs on the same test images, seeds as mean and deviation.",
    "tune": "Searches flags for the best validation accuracy.",
    "verify": "Decides a VNN-LIB property of an ONNX network.",
    "check": "Checks stored certificates again, with NumPy alone.",
    "draw": "Draws networks in the plane.",
}
HELP = ("--help", "-help", "-h", "help")
VERSION = ("--version", "-version")


def main() -> None:
    """The entry point of the script."""
    name, *arguments = sys.argv[1:] or [""]
    with until_unread():
        if name in HELP:
            print(help_text())
        elif name in VERSION:
            print(f"rt_tf {rt_tf.__version__}")
        elif name in COMMANDS:
            importlib.import_module(f"pipelines.{name}").main([f"{SCRIPT} {name}", *arguments])
        else:
            received = f"'{name}'" if name else "none"
            known = ", ".join(COMMANDS)
            fail(f"command: expected one of {known}; received {received}; see {SCRIPT} --help")


def help_text() -> str:
    """The commands with a line each."""
    lines = [f"  {name:10s}{about}" for name, about in COMMANDS.items()]
    usage = f"{SCRIPT} <command> --<flag>=<value> ..., of which the commands are:"
    return "\n".join([usage, "", *lines, "", f"{SCRIPT} <command> --help lists a command's flags."])
