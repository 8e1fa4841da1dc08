"""A network in a file that a command names: its flags, checked before TensorFlow."""

import hashlib
import zipfile
from pathlib import Path
from typing import NamedTuple

from absl import flags

from pipelines.flags import data
from pipelines.flags.evaluation import FILES
from pipelines.flags.run import as_text, run_flags
from pipelines.runs.directory import RunDirectory, differences, trained_flags
from rt_tf.errors import UserError

# Flags that bind a run to its network, besides the file; and all flags that are frozen with it.
THREAT = ("threat", "union_radii", "transport_size", "transport_power", "transport_weight")
BINDING = (*data.NAMES, *THREAT, "input_range", "network_output")
FROZEN = (*FILES, *BINDING, "model_dir", "data_dir", "cache_dir")


class GivenFile(NamedTuple):
    """A network's file, and the flag that names it: keras_file or onnx_file."""

    flag: str
    path: Path


def given_file(values: flags.FlagValues) -> GivenFile | None:
    """The file that a command names; UserError if there are two."""
    named = [name for name in FILES if name in values and values[name].value]
    if len(named) > 1:
        raise UserError("keras_file: expected one network; received --keras_file and --onnx_file")
    return GivenFile(named[0], Path(values[named[0]].value)) if named else None


def run_flags_of(values: flags.FlagValues) -> flags.FlagValues:
    """The flags of a command's run: a finished run, or one around a network's file.

    UserError where there is no such run, or where it is around another network.
    """
    file = given_file(values)
    if file is None:
        _refuse_stray(values)
        return trained_flags(values.model_dir)
    if not values.model_dir:
        raise UserError("model_dir: expected --model_dir=<folder for the run>; received none")
    _check_file(file)
    run = RunDirectory(values.model_dir)
    run.refuse_foreign()
    if run.flags.exists():
        _refuse_changes(run, values, file)
    return run_flags(run.frozen() if run.has_network() else _texts(values, file))


def given_texts(values: flags.FlagValues) -> dict[str, str]:
    """The flags to freeze with a run around a network's file, as text."""
    names = [name for name in (*FROZEN, "epsilon") if values[name].value is not None]
    return {name: as_text(values[name].value) for name in names}


def checksum(path: Path) -> str:
    """SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _texts(values: flags.FlagValues, file: GivenFile) -> dict[str, str]:
    """The flags of a new run; its own radius is the command's first one."""
    for name, example in (("dataset", "<its data set>"), ("epsilon", "<radius>")):
        if values[name].value is None:
            raise UserError(
                f"{name}: expected --{name}={example} with --{file.flag}; received none"
            )
    texts = {name: as_text(values[name].value) for name in FROZEN if values[name].value is not None}
    return {**texts, "epsilon": as_text(values.epsilon[0])}


def _refuse_stray(values: flags.FlagValues) -> None:
    if FILES[0] not in values:
        return
    for name in BINDING:
        if name in values and values[name].present:
            raise UserError(
                f"keras_file: expected --keras_file=<a .keras file> with --{name}; received none"
            )


def _check_file(file: GivenFile) -> None:
    flag, path = file
    kind = flag.removesuffix("_file")
    if not path.is_file():
        raise UserError(f"{flag}: expected a .{kind} file; there is no file {path}")
    if flag == "keras_file":
        _check_archive(path)


def _check_archive(path: Path) -> None:
    whole = path.suffix == ".keras" and zipfile.is_zipfile(path)
    if not whole or "config.json" not in zipfile.ZipFile(path).namelist():
        raise UserError(
            "keras_file: expected a file that model.save('<name>.keras') has written, whole; "
            f"{path} is not"
        )


def _refuse_changes(run: RunDirectory, values: flags.FlagValues, file: GivenFile) -> None:
    """Raises UserError for another network, data set or threat than the run was made around."""
    frozen, origin = run.frozen(), run.facts().get("given")
    if not set(FILES) & set(frozen):
        raise UserError(
            f"model_dir: expected a new directory or one around a given network; {run.path} holds "
            "a network trained there; use another --model_dir"
        )
    if origin is None or not run.has_network():
        return
    flag, path = file
    before = {**frozen, flag: _name(origin["file"], origin["sha256"])}
    now = {n: as_text(values[n].value) for n in BINDING if values[n].value is not None}
    now[flag] = before[flag]
    if checksum(path) != origin["sha256"]:
        now[flag] = _name(path.name, checksum(path))
    defaults = [name for name in (*data.NAMES, *THREAT) if not values[name].present]
    changed = [n for n in (flag, *BINDING) if n not in defaults and before.get(n) != now.get(n)]
    if changed:
        raise UserError(
            f"flags: {run.path} is a run around another network: "
            f"{differences(changed, before, now)}; use another --model_dir"
        )


def _name(file: str, sha256: str) -> str:
    return f"{file} (SHA-256 {sha256[:12]})"
