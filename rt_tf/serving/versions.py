"""Numbered versions of a SavedModel, in the folders that TensorFlow Serving looks for."""

import shutil
from pathlib import Path

from rt_tf.errors import UserError
from rt_tf.folders import rewritten
from rt_tf.serving import saved_model


def is_published(base: str | Path, version: int, checksum: str) -> bool:
    """Whether the version is there already, whole, with the network of that checksum.

    UserError where it is another network's, or something else. A server that has loaded a version
    does not read it again, so that a number stands for one network for good.
    """
    path = Path(base) / str(version)
    if not path.exists():
        return False
    there = saved_model.exported_checksum(path)
    if there != checksum:
        holds = f"network {there[:12]}" if there else "no export"
        raise UserError(
            f"export_version: expected a new number, or that of this network "
            f"({checksum[:12]}); {path} holds {holds}"
        )
    return saved_model.damage(path) is None


def publish(export: str | Path, base: str | Path, version: int) -> Path:
    """Copies an export to `base/version`, whole or not at all, and returns that folder.

    A version of the same network that is there already stays as it is, unless it is damaged.
    UserError for a version of another network, and for an export that is none or is damaged.
    """
    checksum = saved_model.exported_checksum(export)
    if checksum is None:
        raise UserError(f"export: expected an export; {export} is none")
    saved_model.refuse_damaged(export)
    path = Path(base) / str(version)
    if not is_published(base, version, checksum):
        with rewritten(path, "export", saved_model.EXPORTED) as staged:
            shutil.copytree(export, staged, dirs_exist_ok=True)
            saved_model.refuse_damaged(staged)
    return path
