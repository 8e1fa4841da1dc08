"""Plug-ins: a user's modules that add rows to the catalogue, and functions named by their place.

Importing this module imports no TensorFlow.
"""

import importlib
import importlib.metadata
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rt_tf.errors import UserError

ENTRY_POINTS = "rt_tf.plugins"  # of installed packages, each of which names a module


def load(names: Iterable[str], where: str = "import") -> None:
    """Imports modules, which are found where Python finds them, and in the working folder.

    where: the place that names them, for messages. UserError, with the place of the error, for one
    that fails.
    """
    for name in names:
        _imported(name, where)


def load_installed() -> None:
    """Imports the modules that installed packages name by an entry point of ours."""
    for point in importlib.metadata.entry_points(group=ENTRY_POINTS):
        _imported(point.module, f"entry point {point.name}")


def own(flag: str, path: str) -> Callable[..., Any]:
    """The function that `module:function` names; UserError where there is none."""
    module, _, name = path.partition(":")
    value = getattr(_imported(module, flag), name, None)
    if not callable(value):
        raise UserError(f"{flag}: expected a function {name} in {module}; there is none")
    return value


def called(flag: str, path: str, *arguments: Any, **options: Any) -> Any:
    """The result of the function that `module:function` names.

    UserError where there is none, or where it fails, with the place of the error.
    """
    function = own(flag, path)
    try:
        return function(*arguments, **options)
    except UserError:
        raise
    except Exception as error:
        raise _failed(f"{flag}: expected a function that returns", path, error) from error


def _imported(name: str, flag: str) -> Any:
    _find_in_working_folder()
    expected = f"{flag}: expected a module that can be imported"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise _failed(expected, name, error) from error
        raise UserError(
            f"{flag}: expected a module that Python finds, or one in {Path.cwd()}; received "
            f"'{name}'"
        ) from error
    except Exception as error:
        raise _failed(expected, name, error) from error


def _failed(expected: str, name: str, error: Exception) -> UserError:
    """The error of a user's code that fails, with the place in that code."""
    where = traceback.extract_tb(error.__traceback__)[-1]
    return UserError(
        f"{expected}; {name} fails with {type(error).__name__}: {error} ({where.filename}, line "
        f"{where.lineno})"
    )


def _find_in_working_folder() -> None:
    """Lets Python look in the working folder last, so that it hides no installed package."""
    folder = str(Path.cwd())
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)
