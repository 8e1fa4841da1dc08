"""Entries of the catalogue: the implementation of a name, its summary, and its limits."""

import importlib
from typing import Any, NamedTuple


def imported(path: str) -> Any:
    """The function, class or value of a path `module:attribute`, whose module is imported."""
    module, attribute = path.split(":")
    return getattr(importlib.import_module(module), attribute)


class Entry(NamedTuple):
    """The implementation of a name (path: `module:attribute`) and its summary in a line.

    options: settings of its own that it takes by keyword, besides those of all of its kind.
    probable: a bound that holds with a stated probability over random draws.
    certified_by: of a bound for training alone, the one that certifies in its place.
    threats: the threats that it answers to; all if empty.
    static: threats for which a bound does not choose at run time what to bound, as XLA needs.
    """

    path: str
    summary: str
    options: tuple[str, ...] = ()
    probable: bool = False
    certified_by: str = ""
    threats: tuple[str, ...] = ()
    static: tuple[str, ...] = ()


class AttackEntry(NamedTuple):
    """The implementation of an attack (path: `module:attribute`) and its summary in a line.

    options: settings of its own that it takes by keyword, besides `steps` and `step_size`.
    threats: the threats that it attacks; all if empty.
    cost: forward and backward passes through the network for a step, at most.
    training: it runs inside a compiled training step; others are for evaluation alone.
    black_box: it sees no gradients of the network.
    eager: it runs outside compiled code, and fails within.
    minimal: it seeks the smallest move, whatever the radius.
    cascade: it is for cascades alone, and reads all of their members.
    climbs: it raises the loss that a budget names; others have losses of their own, or none.
    images: threats under which it attacks images alone, and no rows of tables.
    one_range: its inputs have a domain of two finite numbers, the same for every feature.
    """

    path: str
    summary: str
    options: tuple[str, ...] = ()
    threats: tuple[str, ...] = ()
    cost: float = 1.0
    training: bool = False
    black_box: bool = False
    eager: bool = False
    minimal: bool = False
    cascade: bool = False
    climbs: bool = False
    images: tuple[str, ...] = ()
    one_range: bool = False
