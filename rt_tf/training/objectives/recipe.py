"""Recipes: an objective as plain data, for a model's file, with the names of its parts."""

import contextlib
import dataclasses
import functools
import importlib
import inspect
import types
from typing import Any

import keras
import numpy as np

from rt_tf.errors import UserError

Recipe = Any  # a value that JSON can hold
# Where the parts of objectives live. A file names them, and nothing else of the library.
ROOMS = ("rt_tf.attacks.", "rt_tf.bounds.", "rt_tf.threats.", "rt_tf.training.")


def recipe(part: Any) -> Recipe:
    """The recipe of a part of an objective.

    Parts are numbers, texts, arrays, sequences, functions, partial functions, dataclasses, and
    objects whose attributes are their class's parameters. UserError for others, and for parts
    without a name to import, such as a lambda.
    """
    if part is None or isinstance(part, bool | int | float | str):
        return part
    if isinstance(part, np.ndarray):
        return {"array": part.tolist(), "dtype": part.dtype.name}
    if isinstance(part, list | tuple):
        return {"sequence": [recipe(item) for item in part]}
    if isinstance(part, functools.partial):
        return {
            "partial": recipe(part.func),
            "arguments": [recipe(item) for item in part.args],
            "keywords": {key: recipe(item) for key, item in part.keywords.items()},
        }
    if isinstance(part, types.FunctionType | type):
        return {"name": _name(part)}
    return {"object": _name(type(part)), "settings": _settings(part)}


def build(recipe: Recipe) -> Any:
    """The part that a recipe describes; UserError for a name that leads to no part."""
    if not isinstance(recipe, dict):
        return recipe
    if "array" in recipe:
        return np.array(recipe["array"], recipe["dtype"])
    if "sequence" in recipe:
        return tuple(build(item) for item in recipe["sequence"])
    if "partial" in recipe:
        keywords = {key: build(item) for key, item in recipe["keywords"].items()}
        return functools.partial(
            build(recipe["partial"]), *map(build, recipe["arguments"]), **keywords
        )
    if "name" in recipe:
        return _named(recipe["name"])
    settings = {key: build(item) for key, item in recipe["settings"].items()}
    return _named(recipe["object"])(**settings)


def _settings(part: Any) -> dict[str, Recipe]:
    """The arguments of a part: a dataclass's fields, or attributes named like parameters."""
    if dataclasses.is_dataclass(part):
        names = {field.name for field in dataclasses.fields(part) if field.init}
    else:
        names = set(vars(part))
        taken = set(inspect.signature(type(part)).parameters)
        if names != taken:
            raise UserError(
                "objective: expected parts that are functions, dataclasses or objects made of "
                f"their attributes, to be saved; received a {type(part).__name__}"
            )
    return {name: recipe(getattr(part, name)) for name in sorted(names)}


def _name(part: Any) -> str:
    """The place of a library's part; for other parts, the name that Keras has registered."""
    path = f"{part.__module__}.{part.__qualname__}"
    name = path if path.startswith(ROOMS) else keras.saving.get_registered_name(part)
    if "<" in name:
        raise UserError(
            f"objective: expected parts with a name, to be saved; received {part.__qualname__}"
        )
    return name


def _named(name: str) -> Any:
    if name.startswith(ROOMS):
        module, _, attribute = name.rpartition(".")
        part = None
        with contextlib.suppress(ModuleNotFoundError):  # in files of other versions
            part = getattr(importlib.import_module(module), attribute, None)
        if getattr(part, "__module__", None) == module:  # what it defines, not what it imports
            return part
    elif (part := keras.saving.get_registered_object(name)) is not None:
        return part
    raise UserError(
        f"objective: expected parts of this version of the library, or among custom_objects; "
        f"received '{name}'"
    )
