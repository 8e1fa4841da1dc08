"""Packages that only this room needs, and the error where they are missing."""

import importlib
from types import ModuleType

from rt_tf.errors import UserError


def needed(package: str) -> ModuleType:
    """A package by name; UserError says what to install where it is missing."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise UserError(
            f"{package}: expected the package {error.name}, which is not installed; "
            "pip install -e '.[vnn]' brings it"
        ) from error
