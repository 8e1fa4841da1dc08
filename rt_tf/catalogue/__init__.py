"""The catalogue: tables of threats, attacks, bounds, searches, models and data sets by name.

Importing this module imports no TensorFlow, so that help texts and errors can list the names at
once. A new model, data set, threat, attack or bound is code in one file and a row in a table here.
"""

import functools
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from rt_tf.catalogue.attacks import ATTACKS, LOSSES, STARTS
from rt_tf.catalogue.bounds import BOUNDS, SEARCHES
from rt_tf.catalogue.datasets import DATASET_KINDS, DATASETS
from rt_tf.catalogue.entries import AttackEntry, Entry, imported
from rt_tf.catalogue.models import MODELS
from rt_tf.catalogue.threats import THREATS
from rt_tf.catalogue.training import POINT_TERMS
from rt_tf.errors import UserError, refuse_unknown

TABLES: dict[str, dict[str, Any]] = {
    "threat": THREATS,
    "attack": ATTACKS,
    "loss": LOSSES,
    "start": STARTS,
    "bound": BOUNDS,
    "search": SEARCHES,
    "model": MODELS,
    "dataset": DATASETS,
    "dataset_kind": DATASET_KINDS,
    "point_term": POINT_TERMS,
}


def add(kind: str, name: str, entry: Entry | AttackEntry) -> None:
    """Adds a row to a table, as plug-ins do; all that takes names finds it from then on.

    kind: a name of TABLES. UserError for an unknown table, or a name that is taken.
    """
    refuse_unknown("kind", kind, TABLES)
    if TABLES[kind].get(name, entry) != entry:
        raise UserError(f"{kind}: expected a name that is free; '{name}' stands for another entry")
    TABLES[kind][name] = entry


def find(kind: str, name: str) -> Any:
    """Returns the entry of a name; UserError lists what exists for an unknown one."""
    table = TABLES[kind]
    refuse_unknown(kind, name, table)
    return table[name]


def certifying_bounds() -> list[str]:
    """The names of the bounds that certify, those with a stated probability included."""
    return [name for name, entry in BOUNDS.items() if not entry.certified_by]


def rungs() -> dict[str, Entry]:
    """The entries of a ladder's possible rungs, the cheap first: attack, bounds, searches."""
    bounds = {name: BOUNDS[name] for name in certifying_bounds()}
    others = {name: entry for name, entry in SEARCHES.items() if name != "attack"}
    return {"attack": SEARCHES["attack"], **bounds, **others}


def search(name: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Callable[..., Any]:
    """Imports a search, with those of the settings that it takes."""
    return _with_settings("search", name, settings)


def bound(name: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Callable[..., Any]:
    """Imports a bound method, with those of the settings that it takes."""
    return _with_settings("bound", name, settings)


def attacks_on(threat: str) -> list[str]:
    """The names of the attacks on a threat."""
    return [name for name, entry in ATTACKS.items() if threat in (entry.threats or (threat,))]


def threat(name: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Any:
    """Makes a threat, with those of the settings that it takes."""
    return _with_settings("threat", name, settings)()


def attack(name: str, settings: Mapping[str, Any] = MappingProxyType({})) -> Callable[..., Any]:
    """Imports an attack, with those of the settings that it takes: a function of task and start."""
    return _with_settings("attack", name, settings, ("steps", "step_size"))


def _with_settings(
    kind: str, name: str, settings: Mapping[str, Any], common: Iterable[str] = ()
) -> Callable[..., Any]:
    """The function of a name, with its settings bound. common: options of all names of the kind."""
    taken = [option for option in (*common, *find(kind, name).options) if option in settings]
    return functools.partial(resolve(kind, name), **{option: settings[option] for option in taken})


def resolve(kind: str, name: str) -> Any:
    """Imports the function, class or value that a name stands for, and returns it."""
    return imported(find(kind, name).path)
