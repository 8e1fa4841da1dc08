"""The provenance of a run: its flags, data, code and machine, for its report."""

import json
from pathlib import Path
from typing import Any

from absl import flags

from pipelines.runs.directory import RunDirectory
from pipelines.runs.external_network import checksum
from rt_tf import data
from rt_tf.catalogue.models import is_file
from rt_tf.domain import UNIT, Domain
from rt_tf.errors import UserError
from rt_tf.reporting.provenance import surroundings


def note_facts(run: RunDirectory, facts: dict[str, Any]) -> None:
    """Notes the facts of a run; versions, code and hardware stay those of its beginning."""
    before = run.facts()
    began_with = ("versions", "code", "hardware")
    run.note(**(facts | {name: before[name] for name in began_with if name in before}))


def check_data(run: RunDirectory, dataset: data.DataSet) -> None:
    """Raises UserError if a run was begun with other data."""
    before, now = run.facts().get("dataset"), json.loads(json.dumps(_dataset(dataset)))
    if before is not None:
        # Runs of earlier versions note no domain, nor all that is noted now.
        before = {"domain": UNIT.config(), **before}
    if before is not None and dataset.columns and before["test"] != now["test"]:
        raise _other_data(run, before, now)
    if before is not None and before["domain"] != now["domain"]:
        raise UserError(
            f"input_range: expected {Domain.from_config(before['domain'])}, which {run.path} was "
            f"begun with; received {dataset.domain}; use another --model_dir"
        )
    if before is not None and before != {name: now[name] for name in before}:
        raise _other_data(run, before, now)


def _other_data(run: RunDirectory, before: dict[str, Any], now: dict[str, Any]) -> UserError:
    return UserError(
        f"dataset: expected the data that {run.path} was begun with (checksum "
        f"{before['test']['checksum'][:12]}); received others ({now['test']['checksum'][:12]})"
    )


def check_model_file(run: RunDirectory, values: flags.FlagValues) -> None:
    """Raises UserError if a run was begun with another file of a network."""
    before, now = run.facts().get("model_file"), _model_file(values)
    if before not in (None, now):
        raise UserError(
            f"model: expected the file that {run.path} was begun with (SHA-256 "
            f"{before['sha256'][:12]}); {values.model} is another; use another --model_dir"
        )


def _model_file(values: flags.FlagValues) -> dict[str, str] | None:
    """The name and checksum of the file that a network was read from; None for others."""
    if not is_file(values.model):
        return None
    path = Path(values.model)
    return {"name": path.name, "sha256": checksum(path)}


def pin_extra(run: RunDirectory, extra: data.Extra | None) -> None:
    """Notes a run's further training examples; UserError if it was begun with others."""
    now = extra.split.checksum if extra else None
    before = run.facts().get("extra_checksum", now)
    if now != before:
        raise UserError(
            f"extra_data: expected the examples that {run.path} was begun with (checksum "
            f"{str(before)[:12]}); received others ({str(now)[:12]})"
        )
    run.note(extra_checksum=now)


def provenance(values: flags.FlagValues, flag_texts: dict[str, str], dataset: data.DataSet) -> Any:
    """The facts of a run that are known before it starts."""
    return {
        "system": values.system,
        "seed": values.seed,
        "flags": {**flag_texts, "epsilon": values.epsilon},
        "dataset": _dataset(dataset),
        "model_file": _model_file(values),
        **surroundings(),
    }


def _dataset(dataset: data.DataSet) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "version": dataset.version,
        "classes": dataset.classes,
        "shape": dataset.shape,
        "pixel_max": dataset.test.pixel_max,
        "domain": dataset.domain.config(),
        "class_names": dataset.class_names,
        "columns": dataset.columns,
        "notes": dataset.notes,
        "test": {"size": len(dataset.test), "checksum": dataset.test.checksum},
    }
